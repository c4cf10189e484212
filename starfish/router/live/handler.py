"""Live routes under ASGI: straight from the server to the view, past Django's middlewares and its spooling of bodies.

Those middlewares are for browsers (sessions, CSRF, messages, frames). A live view is asked with an Authorization header alone,
so there is no cookie to ride, and answers no page.
"""

import asyncio
import io
import logging
from contextlib import aclosing
from typing import Any

from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponseBase

from starfish.protocol.problems import Internal, Invalid
from starfish.router.bodies import Application, Receive, Send
from starfish.router.hub import hub
from starfish.router.live.exchange import Gone, Streamed, Threads
from starfish.router.live.routes import live_route
from starfish.router.plain import refusal

log = logging.getLogger(__name__)


def with_live_routes(application: Application) -> Application:
    """`application`, but for the requests that a live view takes."""
    threads = Threads()

    async def dispatch(scope: Any, receive: Receive, send: Send) -> None:
        route = live_route(scope) if scope["type"] == "http" else None
        if route is None:
            await application(scope, receive, send)
            return
        view, arguments = route
        try:
            response = await _answer(scope, Streamed(receive, threads), view, arguments)
            await _send(response, send)
        except Gone:
            return
        except asyncio.CancelledError:
            if not hub.closed:  # else the server ends now, and a download breaks off with it
                raise

    return dispatch


async def _answer(scope: Any, exchange: Streamed, view: Any, arguments: dict[str, Any]) -> HttpResponseBase:
    """Raises Gone."""
    try:
        request = ASGIRequest(scope, io.BytesIO())
        request.get_host()
        request.exchange = exchange  # type: ignore[attr-defined]
        response: HttpResponseBase = await view(request, **arguments)
    except (DisallowedHost, UnicodeDecodeError):
        return refusal(Invalid("The request cannot be read"))
    except Gone:
        raise
    except Exception:  # the server's edge: whatever it is, the client gets an answer and the log the reason
        log.exception("live_view_failed path=%r", scope["path"])
        return refusal(Internal("The router failed inside; its log says why."))
    return response


async def _send(response: HttpResponseBase, send: Send) -> None:
    """In the pieces that the view made."""
    headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in response.items()]
    headers.append((b"X-Content-Type-Options", b"nosniff"))
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    if not response.streaming:
        await send({"type": "http.response.body", "body": response.content})  # type: ignore[attr-defined]
        return
    async with aclosing(response.streaming_content) as pieces:  # type: ignore[attr-defined]
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
