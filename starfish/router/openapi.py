"""The OpenAPI document's last touch: the routes that are not DRF's."""

from collections.abc import Collection
from typing import Any

from starfish.protocol import problems
from starfish.router.actions.artifacts import SAFE_NAME
from starfish.router.live.reports import LinesRequest, ProgressRequest
from starfish.router.live.requests import StepRequest
from starfish.router.models import Artifact

BASE = "/starfish/api/v1/"


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular."""
    step = StepRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = result["components"]["schemas"]
    schemas.update(step.pop("$defs", {}))
    schemas.update(Step=step, Problem=PROBLEM, LinesRequest=LinesRequest.model_json_schema(), Progress=ProgressRequest.model_json_schema())
    for path, operations in result["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    answer["content"] = _PROBLEM if path == f"{BASE}enrol/" else {**_PLAIN, **_PROBLEM}
    _describe_waiting(result["paths"][f"{BASE}runs/active/"]["get"])
    result["paths"][f"{BASE}runs/{{id}}/step/"] = STEP
    result["paths"][f"{BASE}runs/{{id}}/lines/"] = LINES
    result["paths"][f"{BASE}runs/{{id}}/progress/"] = PROGRESS
    result["paths"][f"{BASE}runs/{{id}}/artifacts/"] = ARTIFACTS
    result["paths"][f"{BASE}runs/{{id}}/artifacts/{{task_seq}}/{{round_seq}}/{{kind}}/{{name}}"] = ARTIFACT
    schemas["Artifact"] = METADATA
    return result


def _describe_waiting(active: dict[str, Any]) -> None:
    active["parameters"] += [
        _header("If-None-Match", "The ETag of the list that is known."),
        _header("Prefer", f"`wait=SECONDS`, with If-None-Match: the answer comes as soon as the list differs. {_MINIMAL}"),
    ]
    active["responses"]["200"]["headers"] = _ETAG
    active["responses"]["304"] = {
        "description": "The list is the one that is known; a wait is over.",
        "headers": _ETAG,
    }


_PROBLEM = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_PLAIN = {"application/json": {"schema": {"oneOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "array"}}]}}}
_ETAG = {"ETag": {"schema": {"type": "string"}, "description": "Of the list of the site's active runs, for a wait that follows."}}
_MINIMAL = "`return=minimal`: without the files of runs, but with a small global model or update."
_STEPPED = {
    "allOf": [
        {"$ref": "#/components/schemas/RunAnswer"},
        {"type": "object", "properties": {"active": {"type": "array", "items": {"type": "object"}}}, "required": ["active"]},
    ]
}
_RUN = {
    "description": "The run after the step; `active`: all that its site works on then, as `runs/active/` lists it.",
    "headers": _ETAG,
    "content": {"application/json": {"schema": _STEPPED}},
}
_ID = {"in": "path", "name": "id", "schema": {"type": "integer", "format": "int64"}, "required": True}
_KEY = {"in": "header", "name": "Idempotency-Key", "schema": {"type": "string", "minLength": 1, "maxLength": 255}}
_AFTER = {
    "in": "query",
    "name": "after",
    "schema": {"type": "integer", "format": "int64", "minimum": 0},
    "description": "The last id that was read; an empty answer says that there is nothing more for now.",
}


def _operation(name: str, description: str, answers: dict[str, Any], *parameters: Any, body: str | None = None) -> dict[str, Any]:
    refusals = {str(status): {"description": kind.title, "content": _PROBLEM} for status, kind in problems.CATALOGUE.items()}
    del refusals["500"]
    operation: dict[str, Any] = {
        "operationId": name,
        "description": description,
        "tags": ["runs"],
        "security": [{"PasswordAuthentication": []}, {"TokenAuthentication": []}],
        "parameters": [_ID, *parameters],
        "responses": answers | refusals,
    }
    if body:
        schema = {"$ref": f"#/components/schemas/{body}"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _page(description: str, *, perhaps: Collection[str] = (), **told: Any) -> dict[str, Any]:
    """A part of a series: what was told, and when. `perhaps`: what is not always there."""
    when: dict[str, Any] = {"id": {"type": "integer"}, "task_seq": {"type": "integer"}, "round_seq": {"type": "integer"}}
    properties = when | {"at": {"type": "string", "format": "date-time"}} | told
    rows = {
        "type": "array",
        "items": {"type": "object", "properties": properties, "required": [name for name in properties if name not in perhaps]},
    }
    return {"200": {"description": description, "content": {"application/json": {"schema": rows}}}}


_TAKEN = {"201": {"description": "It is kept."}}
STEP = {"post": _operation("runs_step_create", "An artifact and a chain of moves, in one transaction.", {"200": _RUN}, _KEY, body="Step")}
LINES = {
    "get": _operation(
        "runs_lines_list", "The site's log, in batches of lines.", _page("Up to a megabyte of it.", lines={"type": "string"}), _AFTER
    ),
    "post": _operation("runs_lines_create", "Lines of the site's log, whatever the run's state.", _TAKEN, _KEY, body="LinesRequest"),
}
PROGRESS = {
    "get": _operation(
        "runs_progress_list",
        "What the site has reported.",
        _page("Up to 1000 reports.", perhaps=("metrics", "message", "sealed"), **ProgressRequest.model_json_schema()["properties"]),
        _AFTER,
    ),
    "post": _operation("runs_progress_create", "How far the site is; five times a second at most.", _TAKEN, body="Progress"),
}
_NUMBER = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
METADATA = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": Artifact.Kind.values},
        "task_seq": _NUMBER,
        "round_seq": _NUMBER,
        "name": {"type": "string"},
        "attempt": {**_NUMBER, "minimum": 1},
        "size": {"type": "integer", "minimum": 0},
        "sha256": _DIGEST,
        "sealed": {"type": "boolean"},
        "sender": {"type": "string", "format": "uuid"},
        "signature": {"type": ["string", "null"]},
        "created_at": {"type": "string", "format": "date-time"},
    },
}
METADATA["required"] = [*METADATA["properties"]]
ARTIFACTS = {
    "get": _operation(
        "runs_artifacts_list",
        "What is stored for a run: its own files and its batch's global models.",
        {
            "200": {
                "description": "Metadata.",
                "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Artifact"}}}},
            }
        },
    )
}
_FILE = [
    {"in": "path", "name": "task_seq", "schema": _NUMBER, "required": True},
    {"in": "path", "name": "round_seq", "schema": _NUMBER, "required": True},
    {"in": "path", "name": "kind", "schema": {"type": "string", "enum": Artifact.Kind.values}, "required": True},
    {"in": "path", "name": "name", "schema": {"type": "string", "pattern": f"^{SAFE_NAME}$"}, "required": True},
    {"in": "query", "name": "attempt", "schema": {**_NUMBER, "minimum": 1}, "description": "1 where it is not given."},
]


def _header(name: str, description: str, *, required: bool = False) -> dict[str, Any]:
    return {"in": "header", "name": name, "schema": {"type": "string"}, "description": description, "required": required}


_BYTES = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
_METADATA = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Artifact"}}}}
_UNCHANGED = {"description": "If-None-Match names its ETag."}
ARTIFACT = {
    "get": _operation(
        "runs_artifacts_retrieve",
        "A file, or one range of it.",
        {
            "200": {"description": "All of it, with ETag and Repr-Digest.", **_BYTES},
            "206": {"description": "The range that was asked for.", **_BYTES},
            "304": _UNCHANGED,
        },
        *_FILE,
        _header("Range", "`bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-COUNT`; several are answered by the whole file."),
        _header("If-Range", "The ETag that the range belongs to; of another file the whole is answered."),
        _header("If-None-Match", "The ETag of a file that is at hand."),
    ),
    "head": _operation(
        "runs_artifacts_offset",
        "A file's size and digest, or how far its upload has come.",
        {
            "200": {"description": "It is stored: Content-Length, ETag, Repr-Digest, and an Upload-Offset that is its size."},
            "204": {"description": "Of an upload that is not complete: Upload-Offset, and the whole's Upload-Length."},
            "304": _UNCHANGED,
        },
        *_FILE,
    ),
    "put": _operation(
        "runs_artifacts_upload",
        "A file, whole or in parts: at once, or from the Upload-Offset on that a HEAD answers. It is visible once all has arrived and "
        "its digest is right. The same bytes again change nothing; other bytes under its name need a higher attempt.",
        {
            "200": {"description": "These very bytes are stored already.", **_METADATA},
            "201": {"description": "It has arrived whole, and is visible.", **_METADATA},
            "202": {"description": "The part is stored; Upload-Offset says how much there is."},
        },
        *_FILE,
        _header("Repr-Digest", "`sha-256=:BASE64:` of the whole file (RFC 9530).", required=True),
        _header(
            "Content-Range", "`bytes FIRST-LAST/SIZE` for a part; `bytes */SIZE` where all has arrived. Without it the upload begins anew."
        ),
    ),
}
ARTIFACT["put"]["requestBody"] = {"required": True, **_BYTES}
PROBLEM = {
    "type": "object",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail", "code"],
}
