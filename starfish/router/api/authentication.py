"""DRF's side of `credentials`; `caller_of` is how a view learns who calls."""

from base64 import b64encode
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from starfish.protocol.problems import TooMany, Unauthorized
from starfish.router.access import Caller
from starfish.router.credentials import caller_from


class _HeaderAuthentication(BaseAuthentication):
    scheme: str

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        header = request.headers.get("Authorization", "")
        if header.partition(" ")[0].lower() != self.scheme.lower():
            return None
        try:
            caller = caller_from(header, request.META.get("REMOTE_ADDR"))
        except Unauthorized as error:
            raise AuthenticationFailed(error.detail) from error
        except TooMany as error:
            raise Throttled(detail=error.detail) from error
        return caller.user, caller

    def authenticate_header(self, request: Request) -> str:
        return f'{self.scheme} realm="starfish"'


class PasswordAuthentication(_HeaderAuthentication):
    """HTTP Basic."""

    scheme = "Basic"


class TokenAuthentication(_HeaderAuthentication):
    """A site's Bearer token."""

    scheme = "Bearer"


class LoginPage(ModelBackend):
    """The browsable API's login guesses no faster than HTTP Basic does: it is counted and refused as that is."""

    def authenticate(self, request: Any, username: str | None = None, password: str | None = None, **kwargs: Any) -> Any:
        if request is None:
            return super().authenticate(request, username, password, **kwargs)
        try:
            encoded = b64encode(f"{username}:{password}".encode()).decode()
            return caller_from(f"Basic {encoded}", request.META.get("REMOTE_ADDR")).user
        except (Unauthorized, TooMany):
            raise PermissionDenied from None


def caller_of(request: Request) -> Caller:
    """After authentication. A browser's session is an account."""
    if isinstance(request.auth, Caller):
        return request.auth
    assert isinstance(request.user, User)  # the permissions let nobody else through
    return Caller.of_account(request.user)
