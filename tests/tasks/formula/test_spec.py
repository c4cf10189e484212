"""Every example in docs/spec/formula.md does what the page says."""

import re
from pathlib import Path

import pytest
import yaml

from starfish.tasks.errors import InvalidTask
from starfish.tasks.formula import parse
from starfish.tasks.formula.eligibility import parse_eligibility
from starfish.tasks.study import Study

SPEC = (Path(__file__).resolve().parents[3] / "docs" / "spec" / "formula.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", SPEC, flags=re.MULTILINE | re.DOTALL)


def examples(kind: str) -> list[tuple[str, str]]:
    return [pair for block in blocks(kind) for pair in re.findall(r"^(\S.*)\n  => (.*)$", block, flags=re.MULTILINE)]


STUDY = Study.from_definition(yaml.safe_load(blocks("yaml")[0]))


def test_every_line_of_every_block_is_an_example() -> None:
    for kind in ("formula", "refused", "ineligible"):
        assert sum(block.count("\n") for block in blocks(kind)) == 2 * len(examples(kind)) > 0


@pytest.mark.parametrize(("formula", "columns"), examples("formula"))
def test_columns(formula: str, columns: str) -> None:
    assert [column.name for column in parse(formula, STUDY).columns] == columns.split(" | ")


@pytest.mark.parametrize(("formula", "reason"), examples("refused"))
def test_refused(formula: str, reason: str) -> None:
    with pytest.raises(InvalidTask, match=re.escape(reason)) as caught:
        parse(formula, STUDY)
    assert caught.value.code == "formula"


@pytest.mark.parametrize("rule", blocks("eligible")[0].splitlines())
def test_eligible(rule: str) -> None:
    assert parse_eligibility(rule, STUDY).variables


@pytest.mark.parametrize(("rule", "reason"), examples("ineligible"))
def test_ineligible(rule: str, reason: str) -> None:
    with pytest.raises(InvalidTask, match=re.escape(reason)) as caught:
        parse_eligibility(rule, STUDY)
    assert caught.value.code == "eligibility"
