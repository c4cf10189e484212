"""The router under ASGI: `starfish router serve`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "starfish.router.settings")
application = get_asgi_application()
