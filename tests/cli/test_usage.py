"""What is typed wrongly ends with status 2 and a sentence, and what every command shares holds for every command."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import starfish
from starfish.cli.console import SafeConsole
from starfish.cli.main import NOUNS, app

runner = CliRunner()
HEAVY = ("numpy", "scipy", "pandas", "django", "httpx2", "rich", "yaml", "starfish.router", "starfish.sdk", "starfish.tasks")


def verbs(noun: str) -> list[str]:
    command = typer.main.get_command(__import__(f"starfish.cli.{noun}", fromlist=["app"]).app)
    return sorted(getattr(command, "commands", {}))


def commands() -> list[list[str]]:
    return [words for noun in NOUNS if noun != "router" for words in ([[noun, verb] for verb in verbs(noun)] or [[noun]])]


@pytest.fixture(autouse=True)
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STARFISH_HOME", raising=False)


def test_the_nouns_have_the_verbs_that_people_know() -> None:
    assert {noun: verbs(noun) for noun in NOUNS if noun not in ("router", "simulate")} == {
        "site": ["audit", "doctor", "fingerprint", "init", "policy", "rotate", "status", "up"],
        "dataset": ["add", "check", "list", "map", "show"],
        "project": ["approve", "create", "invite", "join", "leave", "list", "refuse", "remove", "show"],
        "run": ["approve", "download", "logs", "preview", "report", "restart", "show", "start", "stop", "watch"],
        "task": ["list", "show"],
    }


def test_help_names_every_noun() -> None:
    result = runner.invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(f"\n  {noun} " in result.stdout for noun in NOUNS)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_has_help_and_takes_json_and_debug(words: list[str]) -> None:
    result = runner.invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    assert "--json" in result.stdout
    assert "--debug" in result.stdout


def test_version() -> None:
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"starfish {starfish.__version__}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sight"], "No such command 'sight'"),
        (["site", "intit"], "No such command 'intit'. Did you mean 'init'"),
        (["site", "status", "--nonsense"], "No such option"),
        (["site", "status"], "say which site: --home DIR, or set STARFISH_HOME"),
        (["site", "init", "--home", "h"], "Missing option '--router'"),
        (["site", "init", "--home", "h", "--router", "http://127.0.0.1:1"], "either --enrol CODE, or --username NAME with --password-file"),
        (["site", "init", "--home", "h", "--router", "http://127.0.0.1:1", "--enrol", "c", "--username", "u"], "either --enrol CODE"),
        (
            ["site", "init", "--home", "h", "--router", "http://127.0.0.1:1", "--enrol", "c", "--policy", "none"],
            "there is no policy 'none'",
        ),
        (["site", "init", "--home", "h", "--router", "http://x:1", "--username", "u", "--password-file", "f"], "give the site a name"),
        (["project", "create", "f.yaml", "--home", "h"], "either --dataset NAME or --no-data"),
        (["project", "create", "f.yaml", "--home", "h", "--no-data", "--dataset", "d"], "either --dataset NAME or --no-data"),
        (["project", "join", "p", "--home", "h"], "Missing option '--dataset'"),
        (["run", "report", "p", "--home", "h", "--batch", "0"], "batch"),
        (["run", "report", "p", "--home", "h", "--batch", "x"], "batch"),
        (["simulate", "f.yaml"], "Missing option '--site'"),
        (["simulate", "f.yaml", "--site", "A"], "--site wants NAME=FILE"),
        (["simulate", "f.yaml", "--site", "A=a.csv", "--site", "A=b.csv"], "--site names 'A' twice"),
        (["simulate", "f.yaml", "--site", "A=a.csv", "--mapping", "B=m.yaml"], "--mapping names 'B', which no --site does"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert not list(tmp_path.iterdir()), "wrong usage leaves nothing behind"


def test_start_up_imports_nothing_heavy() -> None:
    code = f"import sys, starfish.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert loaded == "[]\n"


def test_help_of_a_noun_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom starfish.cli.main import main\nsys.argv = ['starfish', 'run', '--help']\n"
        f"try:\n    main()\nfinally:\n    print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist. Make a site there with 'starfish site init'"),
        ("", "is damaged"),
        ('{"version": 2}', "is of version 2 and this Starfish reads version 1"),
        ('{"version": 1}', "is missing, wrong or unknown"),
    ],
)
@pytest.mark.parametrize(
    "words", [["site", "status"], ["site", "up"], ["dataset", "list"], ["project", "list"], ["run", "report", "p"]], ids=" ".join
)
def test_a_home_that_is_none_is_said_by_every_command(words: list[str], content: str | None, message: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    if content is not None:
        home.mkdir()
        (home / "site.json").write_text(content)
    result = runner.invoke(app, ["--home", str(home), *words, "--json"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr


def test_an_own_home_goes_before_the_programs_and_that_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARFISH_HOME", str(tmp_path / "environment"))
    for words, named in (([], "environment"), (["--home", str(tmp_path / "program")], "program")):
        assert f"{named} does not exist" in runner.invoke(app, [*words, "site", "status"]).stderr
    own = ["--home", str(tmp_path / "program"), "site", "status", "--home", str(tmp_path / "own")]
    assert "own does not exist" in runner.invoke(app, own).stderr


def test_what_nobody_expected_is_a_sentence_without_a_traceback() -> None:
    code = "import starfish.cli.main as m\nm.NOUNS['ghost'] = ''\nimport sys\nsys.argv = ['starfish', 'ghost']\nm.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: something unexpected happened (ModuleNotFoundError")
    assert "Traceback" not in done.stderr


def test_texts_of_other_sites_cannot_steer_the_terminal() -> None:
    from rich.text import Text

    console = SafeConsole(force_terminal=True, width=80)
    with console.capture() as capture:
        console.print(Text("one\x1b]0;title\x07\x1b[2Jtwo\u202e\nthree"))
    assert capture.get() == "one]0;title[2Jtwo\nthree\n"


@pytest.mark.parametrize(
    "words",
    [
        ["run", "show", "a\udcff"],
        ["dataset", "add", "d", "a\udcff.csv"],
        ["dataset", "map", "d", "p", "--column", "age=\udcff"],
        ["site", "init", "--router", "http://127.0.0.1:1", "--enrol", "\udcff"],
        ["project", "create", "\udcff.yaml", "--no-data"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_bytes_that_are_no_text_are_wrong_usage(words: list[str], tmp_path: Path) -> None:
    result = runner.invoke(app, ["--home", str(tmp_path / "home"), *words])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no text in UTF-8" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("content", "reason"), [(b"\xff\xfe", "not text"), (b" \n", "empty")])
def test_a_password_file_without_a_password(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "pw").write_bytes(content)
    words = ["--home", str(tmp_path / "home"), "site", "init", "--router", "http://127.0.0.1:1", "--name", "A"]
    result = runner.invoke(app, [*words, "--username", "u", "--password-file", str(tmp_path / "pw")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert reason in result.stderr


def test_a_page_of_a_dataset_clips_long_texts() -> None:
    from starfish.cli.dataset import _page
    from starfish.controller.api.datasets import DatasetPage

    page = DatasetPage(name="d", source="d.csv", added="", rows=1, columns={"note": ["x" * 100_000, ""]}, mappings={})
    console = SafeConsole(width=10_000)
    with console.capture() as capture:
        console.print(_page(page))
    assert f"{'x' * 59}…, (empty)" in capture.get()


@pytest.mark.parametrize("variables", [[1], "x", 5, {"age": 5}, {"age": {"type": ["x"], "levels": 5}}])
def test_a_project_page_draws_any_terms(variables: object) -> None:
    from starfish.cli.project import _page
    from starfish.controller.api.projects import ProjectPage

    page = ProjectPage(
        id=1,
        name="p",
        description="",
        coordinator=None,
        role="participant",
        batch=0,
        dataset=None,
        with_data=None,
        tasks=[{"seq": 1, "model": "M", "config": {"x": {"a": [1, {"b": None}]}}}],
        definition={"variables": variables, "missing": {"a": 1}, "eligibility": [1]},
        members=None,
        trust="unverified",
    )
    console = SafeConsole(width=200)
    with console.capture() as capture:
        console.print(_page(page))
    assert "ariable" in capture.get()
