"""A sealed study under the policies for patients' data, as people live it: preview, approval, a row less, and the audit of it all."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.federation import Member, federation, until
from tests.support.servers import ROOT, Server

DATA = ROOT / "examples" / "heart_disease" / "data"
PROJECT = """
name: guarded
variables:
  age:     {type: number, unit: years}
  sex:     {type: category, levels: [female, male]}
  disease: {type: binary, role: outcome}
tasks:
  - model: LogisticRegression
    config: {formula: "disease ~ age + sex"}
"""


def parts(folder: Path) -> list[Path]:
    """Cleveland's patients, dealt to three."""
    head, *rows = (DATA / "cleveland.csv").read_text().splitlines()
    files = [folder / f"part-{number}.csv" for number in range(3)]
    for number, file in enumerate(files):
        file.write_text("\n".join([head, *rows[number::3]]) + "\n")
    return files


def waiting(member: Member, batch: int) -> bool:
    local = member.json("run", "logs", "guarded", "--batch", str(batch))["local"]
    return any("waits for a person's approval" in line["text"] for line in local)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_three_hospitals_that_hold_back(serve: Callable[..., Server], tmp_path: Path) -> None:
    (tmp_path / "project.yaml").write_text(PROJECT)
    sources = parts(tmp_path)
    with federation(serve("serve"), tmp_path) as made:
        leader = made.add("North", sources[0], policy="standard")
        careful, other = made.add("South", sources[1], policy="strict"), made.add("West", sources[2], policy="standard")
        (careful.home / "policy.yaml").write_text("preset: strict\nmin_sites: 3\n")
        made.open_sealed_project(tmp_path / "project.yaml", "guarded")

        preview = until(lambda: _preview(careful), "a preview of the sealed terms")
        assert preview["refusals"] == []
        assert preview["waits"] == ["The policy asks for a person's approval of each batch."]
        assert all(numbers > 0 for numbers in preview["tasks"][0]["numbers"])
        assert preview["nearest"]["nearness"] <= 1

        leader.run("run", "start", "guarded")
        until(lambda: waiting(careful, 1), "the wait for a person")
        [standing] = careful.json("run", "show", "guarded")["sites"]
        assert standing["status"] == "Standby"
        approval = careful.json("run", "approve", "guarded")
        assert approval["batch"] == 1
        until(lambda: leader.json("run", "show", "guarded")["ended"], "the first batch's end")
        first = leader.json("run", "report", "guarded")
        assert first["tasks"][0]["converged"]

        lines = sources[2].read_text().splitlines()
        sources[2].write_text("\n".join(lines[:-1]) + "\n")
        leader.run("run", "start", "guarded")
        until(lambda: waiting(other, 2), "the wait of the site with a row less")
        told = leader.run("run", "logs", "guarded").stdout
        assert "waits for a person's approval at this site" in told
        assert "differ by 1 row" not in told
        assert "differ by 1 row" in other.run("run", "logs", "guarded").stdout
        careful.run("run", "approve", "guarded", "--batch", "2")
        other.run("run", "approve", "guarded", "--batch", "2")
        until(lambda: leader.json("run", "show", "guarded")["ended"], "the second batch's end")

        for member in (careful, other):
            verdict = member.json("site", "audit", "--verify")
            assert verdict["faults"] == []
            audit = member.json("site", "audit", "--contents")
            updates = [entry for entry in audit if entry["detail"].get("what") == "update"]
            assert len(updates) >= 2 * first["tasks"][0]["rounds"]
            assert all(entry["content"]["arrays"] for entry in updates)
            assert "approved" in {entry["kind"] for entry in audit}
            assert member.json("site", "audit", "--head", verdict["head"])["faults"] == []


def _preview(member: Member) -> dict[str, object] | None:
    """None as long as the terms have not arrived."""
    done = member.run("run", "preview", "guarded", "--json", ok=False)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else None
