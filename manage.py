#!/usr/bin/env python3
"""The Routing Server's commands: migrate, createsuperuser, runserver, runjob, test."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError


def main() -> None:
    """Wrong settings are a sentence, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "starfish.router.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"{error}")
    except OperationalError as error:
        from starfish.router.health import why_no_database

        if "no such table" in str(error):
            sys.exit("The database is not ready. Run: python3 manage.py migrate")
        sys.exit(f"The database does not answer ({why_no_database()}). Check the DATABASE_* settings, and that it runs.")


if __name__ == "__main__":
    main()
