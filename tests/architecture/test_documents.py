"""What the documents say is so: the examples run, the generated pages are current, the links lead somewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from starfish.controller import project_file
from starfish.controller.simulate import SimulatedSite, simulate
from starfish.tasks import registry

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "examples" / "heart_disease" / "data"
SITES = [SimulatedSite(name=file.stem, source=str(file)) for file in sorted(DATA.glob("*.csv"))]


@pytest.mark.parametrize("name", registry.names())
def test_every_task_has_a_page_whose_example_runs(name: str) -> None:
    page = (ROOT / "docs" / "reference" / "tasks" / f"{name}.md").read_text()
    example = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(example) == 1
    report = simulate(project_file.from_text(example[0]), SITES)
    assert [task["model"] for task in report["tasks"]] == [name]
    assert all(task["converged"] for task in report["tasks"])
    json.dumps(report, allow_nan=False)


def test_the_generated_pages_are_current() -> None:
    done = subprocess.run([sys.executable, "-m", "docs.generate", "--check"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_link_between_documents_leads_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
            if not re.match(r"https?://", target):
                assert (document.parent / target).exists(), f"{document.relative_to(ROOT)}: {target}"
