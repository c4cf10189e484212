"""The patients of examples/heart_disease, by hospital, as a site's rows; and the limits of the policy `standard`."""

from collections.abc import Mapping
from pathlib import Path

from starfish.controller.data import complete_mask, read_mapping, read_source, typed_rows
from starfish.controller.guard.policy import preset
from starfish.tasks.api import Rows, Task
from tests.tasks.federated import study

STANDARD = preset("standard").limits
DATA = Path(__file__).resolve().parents[2] / "examples" / "heart_disease" / "data"
PATIENTS = study(
    age={"type": "number"},
    sex={"type": "category", "levels": ["female", "male"]},
    cp={"type": "category", "levels": ["typical angina", "atypical angina", "non-anginal", "asymptomatic"]},
    trestbps={"type": "number", "missing_codes": [0]},
    chol={"type": "number", "missing_codes": [0]},
    thalch={"type": "number"},
    exang={"type": "binary", "positive": True},
    oldpeak={"type": "number"},
    disease={"type": "binary", "positive": 1, "role": "outcome"},
)


def hospital(name: str) -> Rows:
    table = read_source(str(DATA / f"{name}.csv"))
    return typed_rows(table, PATIENTS, read_mapping(None, PATIENTS, table)).rows


HOSPITALS: Mapping[str, Rows] = {name: hospital(name) for name in ("cleveland", "hungary", "long_beach", "switzerland")}


def of(task: Task, rows: Rows) -> Rows:
    """The rows that the task reads."""
    return rows.take(complete_mask(rows, task.variables)) if task.complete_cases else rows
