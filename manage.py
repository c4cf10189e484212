#!/usr/bin/env python3
"""The Routing Server's commands: migrate, createsuperuser, runserver, runjob, test."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    """Wrong settings are a sentence, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "starfish.router.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"{error}")


if __name__ == "__main__":
    main()
