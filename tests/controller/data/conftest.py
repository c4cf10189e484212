"""`load`: bytes or text of a CSV file and a project's variables in, typed rows out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from starfish.controller.data import Table, TypedData, read_mapping, read_source, typed_rows
from starfish.tasks.study import Study

Load = Callable[..., TypedData]
Read = Callable[[str | bytes], Table]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def reading(content: str | bytes) -> Table:
        path = tmp_path / "patients.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_source(path)

    return reading


@pytest.fixture
def load(read: Read) -> Load:
    def loading(content: str | bytes, variables: Mapping[str, Any], mapping: Mapping[str, Any] | None = None) -> TypedData:
        study = Study.from_definition({"variables": variables})
        table = read(content)
        return typed_rows(table, study, read_mapping({"variables": mapping} if mapping else None, study, table))

    return loading
