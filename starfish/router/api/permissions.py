"""Closed by default: a view that names no permission answers 403."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class Closed(BasePermission):
    """Nobody."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return False


class Account(BasePermission):
    """Anyone who has proved who they are; what they then may see and do is `access`'s matter."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user and request.user.is_authenticated)


class Administrator(BasePermission):
    """Superusers with their password or session, never a site's token."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user and request.user.is_superuser and not getattr(request.auth, "by_token", False))


class Anyone(BasePermission):
    """Enrolment alone."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return True
