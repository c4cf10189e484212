"""The Routing Server's Python client."""

from starfish.protocol.problems import Conflict, Forbidden, Invalid, NotFound, Problem, Unauthorized
from starfish.sdk.client import Client
from starfish.sdk.transport import RouterUnreachable

__all__ = ["Client", "Conflict", "Forbidden", "Invalid", "NotFound", "Problem", "RouterUnreachable", "Unauthorized"]
