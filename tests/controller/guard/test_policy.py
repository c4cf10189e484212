"""A policy says what it means, or the site does not come up."""

import math
from itertools import pairwise
from pathlib import Path

import pytest

from starfish.controller.errors import HomeError
from starfish.controller.guard.policy import Policy, preset, read_policy
from starfish.controller.guard.presets import NAMES, RULES, preset_text
from starfish.tasks.disclosure import OPEN


def read(folder: Path, content: str | bytes) -> Policy:
    path = folder / "policy.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_policy(path)


@pytest.mark.parametrize("name", NAMES)
def test_the_file_that_a_preset_writes_says_just_what_the_preset_is(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, preset_text(name)) == read(tmp_path, f"preset: {name}\n") == preset(name)


@pytest.mark.parametrize("name", NAMES)
def test_each_rule_of_the_file_has_its_reason_above_it(name: str) -> None:
    blocks = preset_text(name).decode().split("\n\n")[1:]
    assert [block.splitlines()[-1].split(":")[0] for block in blocks] == [rule.name for rule in RULES]
    for block, rule in zip(blocks, RULES, strict=True):
        assert " ".join(line.removeprefix("# ") for line in block.splitlines()[:-1]) == rule.why


def test_open_holds_nothing_back_from_a_task() -> None:
    assert preset("open").limits == OPEN


def test_standard_has_the_numbers_that_the_documents_name() -> None:
    limits = preset("standard").limits
    assert (limits.min_rows, limits.min_cell, limits.min_events, limits.max_parameters) == (10, 5, 5, 0.33)
    assert (limits.min_sites, limits.oracle, limits.max_share) == (3, True, 0.2)
    assert not preset("standard").by_name


def test_strict_is_nowhere_looser_than_standard_nor_standard_than_open() -> None:
    order = [preset(name) for name in NAMES]
    for looser, stricter in pairwise(order):
        for name in ("min_rows", "min_cell", "min_events", "min_sites", "oracle"):
            assert getattr(stricter, name) >= getattr(looser, name), name
        for name in ("max_parameters", "max_share", "max_queries", "max_rounds", "by_name", "keep_keys_days"):
            assert (getattr(stricter, name) or 0) <= (math.inf if getattr(looser, name) is None else getattr(looser, name)), name


def test_single_rules_are_said_anew_and_the_rest_is_the_presets(tmp_path: Path) -> None:
    policy = read(tmp_path, "preset: standard\nmin_rows: 20\ntasks: [SummaryStatistics]\nmax_queries: none\nmax_parameters: 1\n")
    assert (policy.min_rows, policy.tasks, policy.max_queries, policy.max_parameters) == (20, ("SummaryStatistics",), None, 1.0)
    assert (policy.min_cell, policy.max_rounds) == (preset("standard").min_cell, preset("standard").max_rounds)
    assert policy.digest != preset("standard").digest


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("preset: lax\n", "line 1: there is no preset 'lax'; there are: open, standard, strict"),
        ("preset: [open]\n", "line 1: there is no preset"),
        ("", "must name a preset"),
        ("open\n", "must name a preset"),
        ("min_rows: 10\n", "must name a preset"),
        ("preset: open\nminimum_rows: 10\n", "line 2: 'minimum_rows' is no rule of a policy. Did you mean 'min_rows'?"),
        ("preset: open\n\nshoe_size: 10\n", "line 3: 'shoe_size' is no rule of a policy. There are: preset, tasks,"),
        ("preset: open\nmin_rows: ten\n", "line 2: 'min_rows' must be a whole number from 1 to 1000000000, not 'ten'"),
        ("preset: open\nmin_rows: 0\n", "'min_rows' must be"),
        ("preset: open\nmin_rows: 9.5\n", "'min_rows' must be"),
        ("preset: open\nmin_rows: true\n", "'min_rows' must be"),
        ("preset: open\nmin_rows: none\n", "'min_rows' must be"),
        ("preset: open\nmin_cell: -1\n", "'min_cell' must be a whole number from 0"),
        ("preset: open\nmax_share: 0\n", "'max_share' must be a number above 0 and up to 1"),
        ("preset: open\nmax_share: 1.5\n", "'max_share' must be"),
        ("preset: open\nmax_parameters: -0.3\n", "'max_parameters' must be a number above 0"),
        ("preset: open\nmax_queries: 0\n", "'max_queries' must be a whole number from 1 to 1000000000, or none"),
        ("preset: open\nby_name: no\n", "'by_name' must be true or false, not 'no'"),
        ("preset: open\noracle: 1\n", "'oracle' must be true or false"),
        ("preset: open\napprove: sometimes\n", "'approve' must be never, close-rows or each-batch, not 'sometimes'"),
        ("preset: open\ntasks: SummaryStatistics\n", "'tasks' must be all, or a list of different names"),
        ("preset: open\ntasks: [A, A]\n", "'tasks' must be"),
        ("preset: open\ntasks: [1]\n", "'tasks' must be"),
        ("preset: open\nnot_isolated: some\n", "'not_isolated' must be all or own or none, or a list"),
        ("preset: open\nmin_rows: 5\nmin_rows: 6\n", "line 3: 'min_rows' stands here twice"),
        ("preset: [open\n", "line 2"),
        (b"\xff\xfe\x00", "not a text file"),
        ("preset: !!python/object/apply:os.getcwd []\n", "there is no preset"),
        ("[" * 20_000, "nested too deeply"),
    ],
)
def test_anything_else_is_refused_by_name_and_line(tmp_path: Path, content: str | bytes, reason: str) -> None:
    with pytest.raises(HomeError) as refused:
        read(tmp_path, content)
    assert reason in str(refused.value)


def test_a_policy_that_is_missing_is_no_open_one(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="there is no such file"):
        read_policy(tmp_path / "policy.yaml")
