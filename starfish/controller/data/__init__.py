"""A site's data: read from a source, mapped to a project's variables, typed, checked, counted. None of it leaves from here."""

from starfish.controller.data.check import Finding, check
from starfish.controller.data.errors import DataError
from starfish.controller.data.flow import Flow, complete_mask, eligible_mask, flow
from starfish.controller.data.mapping import Mapping, VariableMapping, read_mapping
from starfish.controller.data.sources import Table, read_source
from starfish.controller.data.typing import Problem, TypedData, typed_rows

__all__ = [
    "DataError",
    "Finding",
    "Flow",
    "Mapping",
    "Problem",
    "Table",
    "TypedData",
    "VariableMapping",
    "check",
    "complete_mask",
    "eligible_mask",
    "flow",
    "read_mapping",
    "read_source",
    "typed_rows",
]
