"""What the documents say is so: the examples run, the generated pages are current, the operator's files fit the settings."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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


def test_the_example_of_settings_names_what_the_router_reads() -> None:
    code = "".join((ROOT / "starfish" / "router" / name).read_text() for name in ("settings.py", "environment.py"))
    read = set(re.findall(r'(?:flag|text|secret|number|choice|words|path)\(\s*"([A-Z_]+)"', code)) - {"STARFISH_CONTAINER", "SWEEP_EVERY_S"}
    shown = set(re.findall(r"^#? ?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert shown == read


def test_compose_has_the_services_and_volumes_that_operators_know() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert set(compose["services"]) == {"starfish-router", "postgres"}
    router, database = compose["services"]["starfish-router"], compose["services"]["postgres"]
    assert router["container_name"] == "starfish-router"
    assert router["volumes"] == ["artifacts:/starfish/artifacts"]
    assert database["volumes"] == ["database:/var/lib/postgresql/data"]
    assert set(compose["volumes"]) == {"artifacts", "database"}
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (.+) \./?\S*$", dockerfile, re.MULTILINE)
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
    allowed = (ROOT / ".dockerignore").read_text()
    assert all(f"!{name}" in allowed for name in " ".join(copied).split())


def test_the_readme_s_commands_exist() -> None:
    text = (ROOT / "README.md").read_text()
    targets = set(re.findall(r"^make ([a-z]+)", text, re.MULTILINE))
    assert targets <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in set(re.findall(r"^starfish ((?:[a-z-]+ )?[a-z-]+) ", text, re.MULTILINE)):
        words = [word for word in command.split() if not word.startswith("--")]
        done = subprocess.run([Path(sys.executable).parent / "starfish", *words, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, command
