"""`manage.py runjob clear_leftovers`, for those who do not run `starfish router serve`, which does it by itself."""

from django_extensions.management.jobs import BaseJob

from starfish.router.actions.leftovers import clear


class Job(BaseJob):
    help = "Uploads that were given up and files that no row knows are removed."

    def execute(self) -> None:
        clear()
