"""What workers import is compiled once for an installation, though no worker that is shut in could keep it."""

import json
import os
import shutil
from pathlib import Path

import pytest

import starfish
from starfish.controller.worker.process import Worker


def test_the_first_worker_of_a_new_installation_has_everything_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages, work = tmp_path / "packages", tmp_path / "home" / "batches" / "1-1"
    shutil.copytree(Path(starfish.__file__).parent, packages / "starfish", ignore=shutil.ignore_patterns("__pycache__"))
    work.mkdir(parents=True)
    (work / "terms.json").write_text(json.dumps({"project": "p", "batch": 1, "tasks": [], "definition": {"variables": {}}}))
    monkeypatch.setenv("PYTHONPATH", str(packages))

    def compiled() -> dict[str, int]:
        return {path.name: os.stat(path).st_mtime_ns for path in packages.glob("starfish/tasks/**/*.pyc")}

    made = []
    for _ in range(2):
        worker = Worker(work)
        try:
            worker.call("report", {"work": str(work), "site": "s", "site_name": "Here"})
        finally:
            worker.end()
        made.append(compiled())
    assert len(made[0]) >= len({path.stem for path in packages.glob("starfish/tasks/library/**/*.py")}) > 10
    assert made[0] == made[1], "the second has nothing to do"
    assert "Traceback" not in (work / "worker.log").read_text()
