"""What goes over the wire, as the process in between holds it: requests, answers, and how both are rewritten so that nothing shows."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Headers = Sequence[tuple[str, str]]
Row = dict[str, Any]
OF_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """`site`: whose token it carries, as far as that is known; `path` with its query."""

    site: str | None
    method: str
    path: str
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)

    def matches(self, method: str, pattern: str, sites: Sequence[str] = ()) -> bool:
        """`pattern`: of the whole path below the API's address, without the query; `sites`: of these alone."""
        address = self.path.partition("?")[0].partition("/api/v1/")[2]
        return self.method == method and (not sites or self.site in sites) and re.fullmatch(pattern, address) is not None

    def header(self, name: str) -> str | None:
        return _header(self.headers, name)

    def with_json(self, value: Any) -> "Request":
        return replace(self, body=json.dumps(value).encode())


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """None where it is none."""
        if "json" not in (_header(self.headers, "content-type") or "") or not self.body:
            return None
        return json.loads(self.body)

    def with_body(self, body: bytes) -> "Answer":
        """With the digests of these bytes in the place of those of the old ones."""
        old, new = hashlib.sha256(self.body), hashlib.sha256(body)
        digest = f"sha-256=:{base64.b64encode(new.digest()).decode()}:"
        changed = {"repr-digest": digest, "etag": f'"{new.hexdigest()}"'}
        etag = _header(self.headers, "etag")
        kept = set() if etag == f'"{old.hexdigest()}"' else {"etag"}
        headers = [(name, value if (low := name.lower()) in kept else changed.get(low, value)) for name, value in self.headers]
        return Answer(status=self.status, headers=headers, body=body)

    def with_json(self, value: Any) -> "Answer":
        return self.with_body(json.dumps(value, separators=(",", ":")).encode())

    @staticmethod
    def of_json(value: Any, status: int = 200) -> "Answer":
        """One that the Routing Server has never given."""
        return Answer(status=status, headers=[("Content-Type", "application/json")], body=json.dumps(value).encode())

    @staticmethod
    def not_found() -> "Answer":
        return Answer.of_json("Not found", 404)


Forward = Callable[[Request], Answer]
Rule = Callable[[Request, Forward], Answer]
"""What the process does with a request: what it hands on, if anything, and what it answers."""


def answers(method: str, pattern: str, change: Callable[[Answer], Answer], *, sites: Sequence[str] = ()) -> Rule:
    """Answers to such requests are changed; refusals are left as they are."""

    def rule(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        return change(answer) if request.matches(method, pattern, sites) and answer.status < 300 else answer

    return rule


def json_answers(method: str, pattern: str, change: Callable[[Any], Any], *, sites: Sequence[str] = ()) -> Rule:
    return answers(method, pattern, lambda answer: answer.with_json(change(answer.json)), sites=sites)


def requests(method: str, pattern: str, change: Callable[[Any], Any], *, sites: Sequence[str] = ()) -> Rule:
    """The JSON of such requests is changed before the Routing Server has it."""

    def rule(request: Request, forward: Forward) -> Answer:
        wanted = request.matches(method, pattern, sites) and request.body
        return forward(request.with_json(change(json.loads(request.body))) if wanted else request)

    return rule


def runs_of(project: int, change: Callable[[list[Row]], list[Row]], *, sites: Sequence[str] = ()) -> Rule:
    """A project's runs, wherever they stand together in an answer, are changed as a whole; one that goes is gone."""

    def rule(request: Request, forward: Forward) -> Answer:
        answer = forward(request)
        if (sites and request.site not in sites) or answer.status >= 300 or (value := answer.json) is None:
            return answer
        changed = _in_runs(value, project, change)
        return answer if changed == value else answer.with_json(changed) if changed is not None else Answer.not_found()

    return rule


def runs(project: int, change: Callable[[Row], Row | None], *, sites: Sequence[str] = ()) -> Rule:
    """Every run of a project in any answer is changed; with None it is not there at all."""
    return runs_of(project, lambda found: [new for run in found if (new := change(run)) is not None], sites=sites)


def sent_files(kind: str, at: tuple[int, int], change: Callable[[bytes], bytes | None], *, sites: Sequence[str] = ()) -> Rule:
    """A small file of a round that comes along with a step is changed before it is stored; with None it never arrives."""

    def exchange(step: Row) -> Row:
        file = step.get("artifact")
        if not file or "data" not in file or file["kind"] != kind or (step["task_seq"], step["round_seq"]) != at:
            return step
        data = change(base64.b64decode(file["data"]))
        if data is None:
            return {key: value for key, value in step.items() if key != "artifact"}
        return {**step, "artifact": {**file, "data": base64.b64encode(data).decode()}}

    return requests("POST", r"runs/\d+/step/", exchange, sites=sites)


def _in_runs(value: Any, project: int, change: Callable[[list[Row]], list[Row]]) -> Any:
    """None: a run that stood alone, and is gone."""
    if isinstance(value, list):
        own = [item for item in value if _is_run(item, project)]
        others = [item for item in value if not _is_run(item, project)]
        return [*(_in_runs(item, project, change) for item in others), *(change(own) if own else [])]
    if not isinstance(value, dict):
        return value
    if not _is_run(value, project):
        return {key: _in_runs(item, project, change) for key, item in value.items()}
    alone = {key: item for key, item in value.items() if key != "active"}
    if not (changed := change([alone])):
        return None
    return changed[0] | ({"active": _in_runs(value["active"], project, change)} if "active" in value else {})


def _is_run(value: Any, project: object) -> bool:
    if not isinstance(value, dict) or not {"site_uid", "cur_seq", "status", "project"} <= value.keys():
        return False
    of = value["project"]
    return bool(project == (of["id"] if isinstance(of, dict) else of))


def _header(headers: Headers, name: str) -> str | None:
    return next((value for key, value in headers if key.lower() == name), None)
