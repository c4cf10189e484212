"""The OpenAPI document's last touch: the routes that are not DRF's."""

from typing import Any

from starfish.protocol import problems
from starfish.router.live.requests import StepRequest

BASE = "/starfish/api/v1/"


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular."""
    step = StepRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = result["components"]["schemas"]
    schemas.update(step.pop("$defs", {}))
    schemas.update(Step=step, Problem=PROBLEM)
    for path, operations in result["paths"].items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if status >= "400":
                    answer["content"] = _PROBLEM if path == f"{BASE}enrol/" else {**_PLAIN, **_PROBLEM}
    result["paths"][f"{BASE}runs/{{id}}/step/"] = STEP
    return result


_PROBLEM = {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_PLAIN = {"application/json": {"schema": {"oneOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "array"}}]}}}
_RUN = {"description": "The run after the step.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/RunAnswer"}}}}
STEP = {
    "post": {
        "operationId": "runs_step_create",
        "description": "An artifact and a chain of moves, in one transaction.",
        "tags": ["runs"],
        "security": [{"PasswordAuthentication": []}, {"TokenAuthentication": []}],
        "parameters": [
            {"in": "path", "name": "id", "schema": {"type": "integer", "format": "int64"}, "required": True},
            {"in": "header", "name": "Idempotency-Key", "schema": {"type": "string", "minLength": 1, "maxLength": 255}},
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Step"}}}},
        "responses": {
            "200": _RUN,
            **{
                str(status): {"description": kind.title, "content": _PROBLEM}
                for status, kind in problems.CATALOGUE.items()
                if status != 500
            },
        },
    }
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
