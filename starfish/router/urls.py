"""Every address of the router."""

from typing import Any

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, URLResolver, include, path
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer
from drf_spectacular.views import SpectacularAPIView
from rest_framework.routers import APIRootView, DefaultRouter

from starfish.router import health
from starfish.router.api.accounts import GroupView, UserView
from starfish.router.api.cards import CardView
from starfish.router.api.enrol import EnrolView
from starfish.router.api.invitations import InvitationView
from starfish.router.api.manifests import ManifestView
from starfish.router.api.permissions import Account
from starfish.router.api.projects import ParticipantView, ProjectView
from starfish.router.api.run_actions import RunActionView
from starfish.router.api.runs import RunsWithoutSlash, RunView
from starfish.router.api.sites import SiteView
from starfish.router.live import routes
from starfish.router.live.active import active, is_live

BASE = "starfish/api/v1/"


class Root(APIRootView):
    """Starfish Routing Server, version 1."""

    permission_classes = [Account]
    schema = None


class Schema(SpectacularAPIView):
    """The OpenAPI document, as JSON; as YAML where Accept names it."""

    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer]


class Router(DefaultRouter):
    """DRF's, without suffixes of formats."""

    APIRootView = Root
    include_format_suffixes = False


router = Router()
router.register("users", UserView)
router.register("groups", GroupView)
router.register("sites", SiteView)
router.register("projects", ProjectView)
router.register("project-participants", ParticipantView)
router.register("invitations", InvitationView)
router.register("runs", RunView)
router.register("runs-action", RunActionView, basename="runs-action")

_active_page: Any = next(route.callback for route in router.urls if isinstance(route, URLPattern) and route.name == "run-active")


@csrf_exempt
async def active_runs(request: HttpRequest) -> HttpResponseBase:
    """A controller gets the live view's answer, a browser the browsable API's."""
    view = active if is_live(request.method, request.headers) else sync_to_async(_active_page)
    response: HttpResponseBase = await view(request)
    return response


api: list[URLPattern | URLResolver] = [
    path("schema/", Schema.as_view(), name="schema"),
    path("enrol/", EnrolView.as_view({"post": "create"}), name="enrol"),
    path("runs", RunsWithoutSlash.as_view({"post": "create"})),
    path("runs/active/", active_runs),
    *routes.patterns,
    path("sites/cards/", CardView.as_view({"get": "lookup"}), name="site-cards-lookup"),
    path("sites/<str:pk>/cards/", CardView.as_view({"get": "list", "post": "create"}), name="site-cards"),
    path("projects/<str:pk>/manifests/", ManifestView.as_view({"get": "list"}), name="project-manifests"),
    path(
        "projects/<str:pk>/manifests/<str:version>/<str:site_uid>/",
        ManifestView.as_view({"get": "retrieve", "put": "update"}),
        name="project-manifest",
    ),
    path("", include(router.urls)),
]
urlpatterns = [
    path("", RedirectView.as_view(url=f"/{BASE}")),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", health.metrics),
    path(BASE.rstrip("/"), RedirectView.as_view(url=f"/{BASE}")),
    path(BASE, include(api)),
    path("starfish/api-auth/", include("rest_framework.urls")),
]
handler400 = "starfish.router.plain.bad_request"
handler403 = "starfish.router.plain.forbidden"
handler404 = "starfish.router.plain.not_found"
handler500 = "starfish.router.plain.server_error"
