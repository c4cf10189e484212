"""One request, one connection, HTTP Basic: how controllers in the field speak to a Routing Server."""

import base64
import http.client
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back: the status, the headers in lower case, the bytes."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of a multipart upload: the form's field, the name, the bytes."""

    field: str
    name: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Router:
    """A Routing Server at `url` (no path), as one account. `account` None: nobody."""

    url: str
    account: tuple[str, str] | None
    base: str = "/starfish/api/v1/"
    headers: Mapping[str, str] | None = None

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`path` is under the base, or absolute with a leading slash. `body` goes as JSON, `raw` as it is."""
        parts = urlsplit(self.url)
        target = path if path.startswith("/") else self.base + path
        if query:
            target += "?" + urlencode(query)
        sent = {"Content-type": "application/json", **(self.headers or {}), **(headers or {})}
        if self.account:
            sent["Authorization"] = "Basic " + base64.b64encode(":".join(self.account).encode()).decode()
        payload = raw if raw is not None else None if body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port)  # no deadline, as they have none
        try:
            connection.request(method, target, body=payload, headers=sent)
            answer = connection.getresponse()
            received = {name.lower(): value for name, value in answer.getheaders()}
            if not received.keys() & {"content-length", "content-type"}:
                raise ConnectionError("the answer broke off in its headers")  # killed just then; http.client takes it for whole
            return Answer(status=answer.status, headers=received, body=answer.read())
        finally:
            connection.close()

    def get(self, path: str, **query: Any) -> Answer:
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Any) -> Answer:
        return self.request("POST", path, body)

    def put(self, path: str, body: Any) -> Answer:
        return self.request("PUT", path, body)

    def patch(self, path: str, body: Any) -> Answer:
        return self.request("PATCH", path, body)

    def delete(self, path: str) -> Answer:
        return self.request("DELETE", path)

    def upload(self, run: int, task_seq: int, round_seq: int, files: Sequence[File]) -> Answer:
        """`POST runs-action/upload/` as a form of three numbers and any files."""
        return self.form("runs-action/upload/", {"run": run, "task_seq": task_seq, "round_seq": round_seq}, files)

    def form(self, path: str, fields: Mapping[str, Any], files: Sequence[File]) -> Answer:
        """A multipart form."""
        boundary = secrets.token_hex(16)
        begin = f"--{boundary}\r\nContent-Disposition: form-data; name="
        parts = [f'{begin}"{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
        for file in files:
            head = f'{begin}"{file.field}"; filename="{file.name}"\r\nContent-Type: application/octet-stream\r\n\r\n'
            parts += [head.encode(), file.data, b"\r\n"]
        parts.append(f"--{boundary}--\r\n".encode())
        return self.request("POST", path, raw=b"".join(parts), headers={"Content-type": f"multipart/form-data; boundary={boundary}"})

    def download(self, run: int, kind: str, task_seq: int | None = None, round_seq: int | None = None, *, all_runs: int = 0) -> Answer:
        """`GET runs-action/download/`."""
        query = {"run": run, "type": kind, "task_seq": task_seq, "round_seq": round_seq, "all_runs": all_runs}
        return self.request("GET", "runs-action/download/", query={name: value for name, value in query.items() if value is not None})

    def status(self, run: int, status: Any, *, update_all: bool = False, increase_round: bool = False) -> Answer:
        """`PUT runs/{id}/status/`, with the flags only where they are set."""
        flags = {name: True for name, value in (("increase_round", increase_round), ("update_all", update_all)) if value}
        return self.put(f"runs/{run}/status/", {"status": status, **flags})
