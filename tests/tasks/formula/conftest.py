"""A study with a variable of every kind, and complete rows for it."""

import numpy as np
import pytest

from starfish.tasks.api import Rows
from starfish.tasks.study import Study

DEFINITION = {
    "variables": {
        "disease": {"type": "binary", "role": "outcome"},
        "age": {"type": "number"},
        "bp": {"type": "integer"},
        "exang": {"type": "binary"},
        "sex": {"type": "category", "levels": ["female", "male"]},
        "race": {"type": "category", "levels": ["a", "b", "c"]},
        "arm": {"type": "category", "levels": [1, 2, 3], "reference": 2},
        "admitted": {"type": "date"},
        "note": {"type": "text"},
        "clinic": {"type": "id"},
    }
}
N = 240


@pytest.fixture(scope="session")
def study() -> Study:
    return Study.from_definition(DEFINITION)


@pytest.fixture(scope="session")
def rows() -> Rows:
    rng = np.random.default_rng(20)
    crossed = np.arange(N)
    return Rows(
        n=N,
        columns={
            "disease": rng.integers(0, 2, N).astype(float),
            "age": rng.uniform(30, 80, N),
            "bp": rng.integers(90, 180, N).astype(float),
            "exang": rng.integers(0, 2, N).astype(float),
            "sex": crossed % 2,
            "race": crossed // 2 % 3,
            "arm": crossed // 6 % 3,
            "admitted": rng.integers(18000, 20000, N).astype(float),
            "note": np.array(["x"] * N, dtype=object),
            "clinic": np.array([f"c{i % 5}" for i in range(N)], dtype=object),
        },
    )
