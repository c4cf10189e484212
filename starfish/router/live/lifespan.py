"""The server's beginning and end. Open waits end when it is told to stop: it would wait for them otherwise."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from starfish.router.actions.reads import flush_patiently
from starfish.router.bodies import Application, Receive, Send
from starfish.router.hub import hub

STOPPING = (signal.SIGTERM, signal.SIGINT)


def with_lifespan(application: Application) -> Application:
    """`application`, which is told of ASGI's lifespan."""

    async def guarded(scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        await receive()
        loop = asyncio.get_running_loop()
        with suppress(ValueError):  # not in a process's main thread: then somebody else has its signals
            for number in STOPPING:
                _before(number, lambda: loop.call_soon_threadsafe(hub.close))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        hub.close()
        await asyncio.to_thread(flush_patiently)
        await send({"type": "lifespan.shutdown.complete"})

    return guarded


def _before(number: int, close: Callable[[], object]) -> None:
    """The waits end (soon: the thread that a signal interrupts may hold a lock), then comes what the server does at this signal."""
    following = signal.getsignal(number)

    def stop(signum: int, frame: FrameType | None) -> None:
        close()
        if callable(following):
            following(signum, frame)

    signal.signal(number, stop)
