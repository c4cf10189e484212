"""House rules that no linter knows: what each module says of itself, how long it may be, what must not be in the repository."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 500
LIST = ["git", "-c", "safe.directory=*", "ls-files"]  # whoever owns the clone
TRACKED = subprocess.run(LIST, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
MODULES = [path for path in TRACKED if path.endswith(".py") and "/migrations/" not in path and (ROOT / path).exists()]
SHIPPED = [path for path in MODULES if path.startswith("starfish/")]
SOMEBODYS_HOME = re.compile(r"(/home/(?!starfish\b)[a-z][a-z0-9_-]*/|/Users/[A-Za-z]+/|C:\\Users\\)")


@pytest.mark.parametrize("path", MODULES)
def test_a_module_says_what_it_is_and_is_short(path: str) -> None:
    text = (ROOT / path).read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "a module begins with one line on what it is and why"
    assert text.count("\n") <= LONGEST, f"split it: more than {LONGEST} lines"


@pytest.mark.parametrize("path", SHIPPED)
def test_shipped_code_is_finished(path: str) -> None:
    text = (ROOT / path).read_text()
    assert not re.search(r"#.*\b(TODO|FIXME|XXX)\b", text), "do it, or write an issue"
    assert not re.search(r"raise NotImplementedError", text), "an abstract method says so with abc, and a stub is not shipped"


def test_tests_mirror_the_tree() -> None:
    """A folder of tests that mirrors nothing is a folder that somebody renamed."""
    own = {"support", "part_a", "architecture", "e2e", "vectors", "benchmarks"}
    mirrored = {path.split("/")[1] for path in TRACKED if re.match(r"tests/[^/]+/", path)} - own
    assert mirrored <= {path.split("/")[1] for path in SHIPPED if path.count("/") > 1}


def test_no_path_of_somebodys_machine_is_kept() -> None:
    """Keys are searched for in test_secrets."""
    files = [path for path in TRACKED if Path(path).suffix not in {".png", ".svg", ".csv", ".lock"} and (ROOT / path).is_file()]
    assert [path for path in files if SOMEBODYS_HOME.search((ROOT / path).read_text(errors="replace"))] == []


def test_nothing_of_a_run_is_kept() -> None:
    assert not [path for path in TRACKED if re.search(r"(^var/|\.sqlite3|__pycache__|\.env$|\.pyc$)", path)]


def test_every_claim_has_a_command_and_a_figure() -> None:
    """docs/claims.md is a table: what is claimed, the command that shows it, the figure that it showed."""
    lines = [line for line in (ROOT / "docs" / "claims.md").read_text().splitlines() if line.startswith("|")]
    header, rule, *rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    assert [name.lower() for name in header[:3]] == ["claim", "command", "figure"]
    assert set("".join(rule)) <= set("-: ")
    assert rows
    for row in rows:
        assert len(row) == len(header), f"a cell too many or too few: {row}"
        claim, command, figure = row[:3]
        assert claim
        assert re.fullmatch(r"`[^`]+`", command), f"the command stands in backticks, alone: {row}"
        assert re.search(r"\d", figure), f"a figure has a number in it: {row}"


@pytest.mark.django_db
def test_a_view_that_names_no_permission_refuses_everybody() -> None:
    """Closed by default, for administrators too: what is open says so."""
    from django.contrib.auth import get_user_model
    from rest_framework.test import APIRequestFactory, force_authenticate
    from rest_framework.views import APIView

    class Forgetful(APIView):
        def get(self, request: object) -> None:
            raise AssertionError("reached")

    request = APIRequestFactory().get("/")
    force_authenticate(request, user=get_user_model()(username="root", is_superuser=True, is_staff=True))
    assert Forgetful.as_view()(request).status_code == 403
