"""The OpenAPI document's last touch: the routes that are not DRF's."""

from typing import Any

from starfish.protocol import problems
from starfish.router.live.reports import LinesRequest, ProgressRequest
from starfish.router.live.requests import StepRequest

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
    result["paths"][f"{BASE}runs/{{id}}/step/"] = STEP
    result["paths"][f"{BASE}runs/{{id}}/lines/"] = LINES
    result["paths"][f"{BASE}runs/{{id}}/progress/"] = PROGRESS
    return result


_PROBLEM = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_PLAIN = {"application/json": {"schema": {"oneOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "array"}}]}}}
_RUN = {"description": "The run after the step.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RunAnswer"}}}}
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


def _page(description: str, **told: Any) -> dict[str, Any]:
    """A part of a series: what was told, and when."""
    when: dict[str, Any] = {"id": {"type": "integer"}, "task_seq": {"type": "integer"}, "round_seq": {"type": "integer"}}
    properties = when | {"at": {"type": "string", "format": "date-time"}} | told
    rows = {"type": "array", "items": {"type": "object", "properties": properties, "required": [*properties]}}
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
        _page("Up to 1000 reports.", **ProgressRequest.model_json_schema()["properties"]),
        _AFTER,
    ),
    "post": _operation("runs_progress_create", "How far the site is; five times a second at most.", _TAKEN, body="Progress"),
}
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
