"""`manage.py runjob check_site_status`."""

from django_extensions.management.jobs import BaseJob

from starfish.router.actions.upkeep import check_site_status


class Job(BaseJob):
    help = "Sites that have been silent for SITE_TIMEOUT_S become Disconnected."

    def execute(self) -> None:
        check_site_status()
