"""One kept HTTP connection to a Routing Server: deadlines, retries, and refusals as exceptions."""

import json
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx2
import stamina
from httpcore2._sync.http11 import HTTP11Connection

from starfish.protocol.problems import CATALOGUE, Invalid, Problem

HTTP11Connection.READ_NUM_BYTES = 256 << 10  # at 64 KiB a read a large download costs the client half as much again
ACCEPT = "application/json, application/problem+json"
AWAY = (502, 503, 504)
logging.getLogger("stamina").addHandler(logging.NullHandler())  # a retry is no news for whoever reads stderr
PATIENCE = {"wait_initial": 0.1, "wait_max": 1.0, "wait_jitter": 0.1}


class RouterUnreachable(Exception):
    """No answer, or none of a Starfish Routing Server; the text says where and why."""


class Transport:
    """Requests below `{url}/starfish/api/v1/`. `authorization` is a header, or None; `fresh` says what it is by now, if it knows."""

    def __init__(self, url: str, *, authorization: str | None, timeout: float, fresh: Callable[[], str | None] = lambda: None) -> None:
        self.url, self._fresh = url.rstrip("/"), fresh
        headers = {"Accept": ACCEPT} | ({"Authorization": authorization} if authorization else {})
        if not _is_address(self.url):
            raise RouterUnreachable(f"'{url}' is no address of a Routing Server; one looks like https://starfish.example.org.")
        self._timeout = timeout
        self._http = httpx2.Client(base_url=f"{self.url}/starfish/api/v1/", headers=headers, timeout=timeout)

    def close(self) -> None:
        self._http.close()

    def authorize(self, authorization: str) -> None:
        """From the next request on."""
        self._http.headers["Authorization"] = authorization

    def request(self, method: str, path: str, *, attempts: int = 3, patience: float = 0, **options: Any) -> httpx2.Response:
        """The answer, if it is no refusal. Tries again where nothing can have happened twice. Raises RouterUnreachable, Problem.

        `patience`: so many seconds longer than usual the answer may take.
        """
        if patience:
            options["timeout"] = self._timeout + patience
        for attempt in stamina.retry_context(on=RouterUnreachable, attempts=attempts, timeout=None, **PATIENCE):
            with attempt:
                return self._once(method, path, **options)
        raise AssertionError("stamina ends with an answer or an error")

    def json(self, method: str, path: str, **options: Any) -> Any:
        """As `request`; the answer's JSON."""
        return self.json_of(self.request(method, path, **options))

    def json_of(self, answer: httpx2.Response) -> Any:
        """Raises RouterUnreachable."""
        try:
            return answer.json()
        except (ValueError, RecursionError) as error:
            raise self._foreign(f"it sent no JSON to {answer.request.method} {answer.request.url.path}") from error

    def stream(self, path: str, **options: Any) -> AbstractContextManager[httpx2.Response]:
        """A download's answer, unread and unchecked."""
        return self._http.stream("GET", path, **options)

    def check(self, answer: httpx2.Response) -> None:
        """Raises RouterUnreachable where a proxy answers for an RS that is away, Problem for a refusal."""
        if answer.has_redirect_location:
            raise self._foreign(f"it redirects to {answer.headers.get('Location', '?')}")
        if answer.is_success or answer.status_code == 304:
            return
        if answer.status_code == 401 and self._renewed(answer.request.headers.get("Authorization")):
            raise RouterUnreachable(f"The token for {self.url} was renewed meanwhile.")
        if answer.status_code in AWAY:
            raise RouterUnreachable(f"The Routing Server at {self.url} can't answer now (HTTP {answer.status_code}).")
        raise _problem(answer)

    def unreachable(self, error: Exception) -> RouterUnreachable:
        return RouterUnreachable(f"The Routing Server at {self.url} does not answer ({error or type(error).__name__}).")

    def _renewed(self, used: str | None) -> bool:
        """Whether another token is to be used by now than the one that was refused; then it is."""
        fresh = self._fresh()
        if fresh is None or fresh == used:
            return False
        self.authorize(fresh)
        return True

    def _once(self, method: str, path: str, **options: Any) -> httpx2.Response:
        try:
            answer = self._http.request(method, path, **options)
        except httpx2.TransportError as error:
            raise self.unreachable(error) from error
        except httpx2.DecodingError as error:
            raise self._foreign(f"its answer to {method} {path} can't be decoded") from error
        self.check(answer)
        return answer

    def _foreign(self, what: str) -> RouterUnreachable:
        return RouterUnreachable(f"{self.url} does not answer as a Starfish Routing Server: {what}. Check the address.")


def _is_address(url: str) -> bool:
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host)


def _problem(answer: httpx2.Response) -> Problem:
    """A refusal as its exception; Part A's bare JSON strings and field errors alike."""
    kind = CATALOGUE.get(answer.status_code, Invalid)
    try:
        raw = answer.json()
    except (ValueError, RecursionError):
        return kind(
            f"{answer.request.url.host} answers HTTP {answer.status_code} without a reason. Check the address, or ask its operator."
        )
    if isinstance(raw, dict) and "detail" in raw:
        known = ("type", "title", "status", "detail", "code")
        return kind(str(raw["detail"]), **{key: value for key, value in raw.items() if key not in known})
    return kind(raw if isinstance(raw, str) else json.dumps(raw))
