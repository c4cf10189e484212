"""The audit's chain: whatever is done to an entry is found, and named."""

import hashlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfish.controller.daemon.journal import Journal
from starfish.controller.guard import audit

BATCH = (1, 1)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite3") as made:
        yield made


def filled(entries: int) -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(audit.SCHEMA)
    for number in range(entries):
        audit.append(db, "departure", BATCH, {"sha256": _sha(number), "name": f"thing {number}"}, b"%d" % number)
    return db


def _sha(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


def faults(db: sqlite3.Connection, noted: str | None = None) -> list[str]:
    return audit.verify(audit.rows(db), noted).faults


def test_an_audit_that_nobody_touched_has_no_fault_and_its_head_is_the_last_entrys() -> None:
    db = filled(5)
    verdict = audit.verify(audit.rows(db))
    assert verdict.faults == []
    assert verdict.entries == 5
    assert verdict.head == "5:" + db.execute("SELECT hash FROM audit WHERE nr = 5").fetchone()[0]
    assert faults(db, verdict.head) == []


def test_an_empty_audit_has_a_head_as_well() -> None:
    db = filled(0)
    assert audit.verify(audit.rows(db)).head == f"0:{audit.ORIGIN}"
    assert faults(db, f"0:{audit.ORIGIN}") == []


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE audit SET entry = replace(entry, 'thing 2', 'thing 9') WHERE nr = 3", "Entry 3 was altered."),
        ("UPDATE audit SET hash = before WHERE nr = 3", "Entry 3 was altered."),
        ("UPDATE audit SET content = x'00' WHERE nr = 3", "The content of entry 3 was altered."),
        ("UPDATE audit SET content = NULL WHERE nr = 3", "The content of entry 3 was taken out or put in."),
        ("DELETE FROM audit WHERE nr = 3", "Entry 3 is missing."),
        ("DELETE FROM audit WHERE nr IN (1, 2)", "Entries 1 to 2 are missing."),
        ("DELETE FROM audit WHERE nr = 3; UPDATE audit SET nr = nr - 1 WHERE nr > 3", "In the place of entry 3 stands entry 4"),
        (
            "UPDATE audit SET nr = 99 WHERE nr = 2; UPDATE audit SET nr = 2 WHERE nr = 3; UPDATE audit SET nr = 3 WHERE nr = 99",
            "In the place of entry 2 stands entry 3",
        ),
    ],
)
def test_an_entry_that_is_altered_taken_out_or_moved_is_named(damage: str, named: str) -> None:
    db = filled(6)
    db.executescript(damage)
    assert any(named in fault for fault in faults(db))


def test_an_entry_that_is_written_anew_with_its_own_hash_does_not_fit_the_next() -> None:
    db, other = filled(6), filled(2)
    audit.append(other, "departure", BATCH, {"sha256": _sha(7), "name": "another"}, b"7")
    row = other.execute("SELECT before, entry, hash, content FROM audit WHERE nr = 3").fetchone()
    db.execute("UPDATE audit SET before = ?, entry = ?, hash = ?, content = ? WHERE nr = 3", row)
    assert any("Entry 4 does not follow entry 3" in fault for fault in faults(db))


def test_a_cut_end_and_a_chain_written_anew_show_against_a_head_that_was_noted() -> None:
    db = filled(6)
    head = audit.verify(audit.rows(db)).head
    db.execute("DELETE FROM audit WHERE nr > 4")
    assert faults(db) == [], "by itself a cut end can't be seen"
    assert faults(db, head) == [f"The head {head} is not in this audit: entries were cut off at the end, or written anew."]
    longer = filled(1)
    for _ in range(8):
        audit.append(longer, "departure", BATCH, {"sha256": _sha(1), "name": "invented"}, b"1")
    assert faults(longer) == []
    assert faults(longer, head) == faults(db, head)


@given(st.lists(st.sampled_from(["append", "delete", "swap", "alter"]), min_size=1, max_size=6), st.data())
def test_only_appending_leaves_no_fault(steps: list[str], data: st.DataObject) -> None:
    db = filled(4)
    touched = False
    for step in steps:
        numbers = [nr for (nr,) in db.execute("SELECT nr FROM audit ORDER BY nr")]
        if step == "append":
            audit.append(db, "departure", BATCH, {"sha256": _sha(1), "name": "more"}, b"1")
        elif len(numbers) > 2:
            one, other = data.draw(st.lists(st.sampled_from(numbers[:-1]), min_size=2, max_size=2, unique=True))
            touched = True
            if step == "delete":
                db.execute("DELETE FROM audit WHERE nr = ?", (one,))
            elif step == "swap":
                db.executescript(
                    f"UPDATE audit SET nr = -1 WHERE nr = {one}; UPDATE audit SET nr = {one} WHERE nr = {other};"
                    f"UPDATE audit SET nr = {other} WHERE nr = -1"
                )
            else:
                db.execute("UPDATE audit SET entry = entry || ' ' WHERE nr = ?", (one,))
    if not touched:
        assert faults(db) == []
    elif steps.count("swap") < 2:  # a second one may put the first right again
        assert faults(db)


def test_entries_of_a_transaction_that_failed_are_not_there(journal: Journal) -> None:
    class Cut(Exception):
        pass

    def append_and_fail() -> None:
        with journal.write() as db:
            audit.append(db, "departure", BATCH, {"what": "update"})
            raise Cut

    with pytest.raises(Cut):
        append_and_fail()
    with journal.read() as db:
        assert list(audit.rows(db)) == []


def test_a_process_that_is_killed_leaves_a_whole_chain_with_all_that_it_has_let_go(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    code = (
        "import sys\nfrom pathlib import Path\nfrom starfish.controller.daemon.journal import Journal\n"
        "from starfish.controller.guard import egress\nfrom starfish.controller.guard.policy import preset\n"
        "with Journal(Path(sys.argv[1])) as journal:\n"
        "    for number in range(10**6):\n"
        "        egress.release(journal, preset('open'), (1, 1), 'lines', 'lines', b'line %d' % number)\n"
        "        print(number, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        gone = [int(process.stdout.readline()) for _ in range(20)]
        process.kill()
        gone += [int(line) for line in process.stdout if line.strip()]
    with Journal(path) as journal, journal.read() as db:
        verdict = audit.verify(audit.rows(db))
    assert verdict.faults == []
    assert verdict.entries >= len(gone) == gone[-1] + 1
