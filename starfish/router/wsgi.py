"""The router under WSGI: `manage.py runserver`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "starfish.router.settings")
application = get_wsgi_application()
