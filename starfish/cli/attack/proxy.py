"""The process: it stands in front of the real Routing Server, records every byte both ways, and does with it what the rules say."""

import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from starfish.cli.attack.traffic import OF_CONNECTION, Answer, Forward, Request, Rule

PATIENCE_S = 60
LONGEST_WAIT_S = 5
PAUSE_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request as it came, and what the Routing Server itself has answered."""

    request: Request
    answer: Answer

    def bytes(self) -> Iterator[bytes]:
        """All that can be read of it."""
        yield f"{self.request.method} {self.request.path}".encode()
        for name, value in [*self.request.headers, *self.answer.headers]:
            yield f"{name}: {value}".encode("latin-1", "replace")
        yield self.request.body
        yield self.answer.body


@dataclass
class Proxy:
    """Listens on a loopback port of its own.

    `restless`: it lets nobody wait, so that what was changed behind the Routing Server's back is seen at once.
    """

    upstream: tuple[str, int]
    sites: Mapping[str, str] = field(default_factory=dict)
    """Names by what stands in their Authorization header."""
    recorded: list[Exchange] = field(default_factory=list)
    restless: bool = False
    _rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="proxy", daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def under(self, *rules: Rule) -> Iterator[None]:
        """The rules hold meanwhile; the first is the nearest to the Routing Server."""
        before, self._rules = self._rules, (*self._rules, *rules)
        try:
            yield
        finally:
            self._rules = before

    def handle(self, request: Request, upstream: Forward) -> Answer:
        """Under the rules that hold when there is an answer, where it was waited for."""

        def recorded(request: Request) -> Answer:
            answer = upstream(request)
            self.recorded.append(Exchange(request=request, answer=answer))
            return answer

        waiting = request.header("if-none-match") is not None
        answer = recorded(self._hasty(request)) if waiting else None
        forward: Forward = recorded if answer is None else lambda _: answer
        for rule in self._rules:
            forward = partial(_ruled, rule, forward)
        return forward(request)

    def _hasty(self, request: Request) -> Request:
        """A wait that is short enough for what the attacker has in mind."""
        wait = request.header("prefer")
        if wait is None or "wait=" not in wait:
            return request
        dropped = {"if-none-match"} if self.restless else set()
        time.sleep(PAUSE_S if self.restless else 0)
        prefer = "return=minimal" if self.restless else f"return=minimal, wait={LONGEST_WAIT_S}"
        headers = [(key, prefer if key.lower() == "prefer" else value) for key, value in request.headers if key.lower() not in dropped]
        return Request(site=request.site, method=request.method, path=request.path, headers=headers, body=request.body)


def _ruled(rule: Rule, forward: Forward, request: Request) -> Answer:
    return rule(request, forward)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A site that is gone is no news."""


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.upstream = http.client.HTTPConnection(*self.proxy.upstream, timeout=PATIENCE_S)

    def finish(self) -> None:
        self.upstream.close()
        super().finish()

    def do_GET(self) -> None:
        self._pass(self.proxy.handle(self._request(), self._forward))

    do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed: it is all recorded."""

    def _request(self) -> Request:
        body = self._chunks() if "chunked" in self.headers.get("Transfer-Encoding", "") else self._sized()
        headers = [(key, value) for key, value in self.headers.items() if key.lower() not in OF_CONNECTION | {"accept-encoding"}]
        site = self.proxy.sites.get(self.headers.get("Authorization", ""))
        return Request(site=site, method=self.command, path=self.path, headers=headers, body=body)

    def _sized(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _chunks(self) -> bytes:
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _forward(self, request: Request) -> Answer:
        """Once more where the kept connection had been closed meanwhile."""
        for last in (False, True):
            try:
                return self._asked(request)
            except (http.client.RemoteDisconnected, ConnectionError):
                self.upstream.close()
                if last:
                    raise
        raise AssertionError("it ends with an answer or an error")

    def _asked(self, request: Request) -> Answer:
        headers = {**dict(request.headers), "Content-Length": str(len(request.body))}
        self.upstream.request(request.method, request.path, body=request.body, headers=headers)
        got = self.upstream.getresponse()
        kept = [(name, value) for name, value in got.getheaders() if name.lower() not in OF_CONNECTION or request.method == "HEAD"]
        return Answer(status=got.status, headers=kept, body=got.read())

    def _pass(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
