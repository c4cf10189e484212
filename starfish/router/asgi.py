"""The router under ASGI: `starfish router serve`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "starfish.router.settings")
_application = get_asgi_application()

from starfish.router.bodies import bounded  # noqa: E402  Django is set up first
from starfish.router.live.handler import with_live_routes  # noqa: E402
from starfish.router.live.lifespan import with_lifespan  # noqa: E402

application = with_lifespan(with_live_routes(bounded(_application)))
