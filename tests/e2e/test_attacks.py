"""The attacker owns the Routing Server: its database, its files, its process. Each attack is noticed, by name, and nothing comes of it."""

import base64
import io
import json
import struct
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from starfish.cli.attack.attack import Attack, Outcome, attempt
from starfish.cli.attack.catalogue import ATTACKS
from starfish.cli.attack.demo import played, view
from starfish.cli.attack.search import found_in, unfolded
from starfish.cli.attack.traffic import json_answers
from starfish.cli.attack.world import World, world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.xdist_group("attacks")]  # they share a world


@pytest.fixture(scope="module")
def attacked() -> Iterator[World]:
    """One for all: an attack leaves behind a batch that has ended, or a project of its own."""
    with world() as made:
        assert made.study.id != made.other.id, "made before anybody attacks"
        yield made


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.title)
def test_it_is_noticed_and_nothing_comes_of_it(attacked: World, attack: Attack) -> None:
    result = attempt(attack, attacked)
    assert result.noticed, f"{attack.notices} was to say that '{attack.names}', and said: {result.said}"
    assert not result.computed


def test_what_is_not_sealed_is_read_and_believed(attacked: World) -> None:
    """The same means against a project that is joined by name, so that whoever notices nothing is known to be able to."""
    study = attacked.by_name
    south = next(run["id"] for run in attacked.database.runs(study.id, 1) if run["site"] == "South")
    forged = json_answers("GET", rf"runs/{south}/lines/", lambda lines: [{**line, "lines": "all is well"} for line in lines])
    with attacked.proxy.under(forged):
        told = next(log.text for log in attacked.north.runs.logs(str(study.id), 1) if log.site == "South")
    assert "all is well" in told
    assert "(" not in told


def test_the_command_tells_all_of_it(attacked: World) -> None:
    """The search, with what it finds where nothing is sealed; what the attacker sees; and a failure, where there is one."""
    unnoticed = Attack(title="do nothing", does="sits still", notices="South", names="alarm", carry_out=lambda _: Outcome(words=[""]))
    notes: list[str] = []
    told = played(attacked, [ATTACKS[0]], notes.append)
    assert told["held"], told["search"]
    assert notes[0].endswith("noticed")
    assert "All 1 attacks were noticed, and nothing sealed was read." in _text(told)
    assert "sealed-study" in str(told["seen"]["names of projects"])
    for kind in told["search"]:
        assert kind["sealed"] == 0
        assert kind["of_sealed"] > 0
    failed = played(attacked, [unnoticed], notes.append)
    assert not failed["held"]
    assert "NOT HELD: do nothing." in _text(failed)
    assert notes[-2].endswith("NOT NOTICED")


def test_the_search_unpacks() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("any", "a heron in a harbour, and another " * 9)
    wire = json.dumps({"data": base64.b64encode(packed.getvalue()).decode(), "text": 'so\u00e9 "quoted"\n'}).encode()
    number = base64.urlsafe_b64encode(b"x" * 20 + struct.pack("<d", 0.8195735533543693)).rstrip(b"=")
    haystack = unfolded([wire, number])
    there = {"a heron in a harbour", 'so\u00e9 "quoted"', "0.8195735533543693"}
    assert found_in(haystack, there | {"an otter", "0.8195735533543694"}) == there


def _text(told: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=400)
    console.print(view(told))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
