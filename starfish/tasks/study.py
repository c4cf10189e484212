"""What a project says of its data: variables, missing-data rule, eligibility."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Variable(BaseModel):
    """One variable of a project, as the project file and a project's `definition` write it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["number", "integer", "binary", "category", "date", "text", "id"]
    label: str = ""
    unit: str = ""
    levels: tuple[str, ...] = ()
    reference: str | None = None
    positive: str | None = None
    min: float | None = None
    max: float | None = None
    resolution: float | None = None
    missing_codes: tuple[str, ...] = ()
    code: str = ""
    role: Literal["outcome", "exposure", "time", "event", "group", "cluster", "strata", "offset", "weight", "id"] | None = None


class Study(BaseModel):
    """A project's `definition`, typed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    variables: Mapping[str, Variable] = Field(default_factory=dict)
    missing: Literal["refuse", "complete-cases", "impute"] = "complete-cases"
    eligibility: str | None = None

    @staticmethod
    def from_definition(definition: Mapping[str, Any]) -> "Study":
        """Raises InvalidTask, with a sentence that names the variable and the key."""
        raise NotImplementedError
