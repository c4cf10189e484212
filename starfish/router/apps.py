"""The router as Django's one app."""

from django.apps import AppConfig


class RouterConfig(AppConfig):
    """Label `router`; `runjob` finds its jobs by it."""

    name = "starfish.router"
    label = "router"
    default_auto_field = "django.db.models.BigAutoField"
