"""The operator's files fit the code: settings, containers, units, and every command that the README shows."""

import itertools
import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from django.core.management import get_commands
from typer.main import get_command

from starfish.cli.main import app
from starfish.router.environment import Environment

ROOT = Path(__file__).resolve().parents[2]
OF_THE_PROCESS = {"STARFISH_CONTAINER", "SWEEP_EVERY_S"}
"""Read by the settings, but set by the Dockerfile and by `router serve`, not by an operator."""


def text(path: str) -> str:
    return (ROOT / path).read_text()


def read_by_the_settings() -> set[str]:
    code = text("starfish/router/settings.py") + text("starfish/router/environment.py")
    plain = set(re.findall(r'\.(?:flag|text|number|choice|words|origins|path)\(\s*"([A-Z_]+)"', code))
    secret = set(re.findall(r'\.secret\(\s*"([A-Z_]+)"', code))
    return plain | secret | {f"{name}_FILE" for name in secret}


def example() -> dict[str, str]:
    """Every setting that `.env.example` shows, with its value, commented out or not."""
    return dict(re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", text(".env.example"), re.MULTILINE))


def compose() -> dict[str, Any]:
    return yaml.safe_load(text("docker-compose.yml"))


def test_the_example_of_settings_has_each_setting_and_no_other() -> None:
    assert set(example()) == read_by_the_settings() - OF_THE_PROCESS
    shown = re.findall(r"^(?:# )?([A-Z_]+)=", text(".env.example"), re.MULTILINE)
    assert len(shown) == len(set(shown)), "a setting stands there once"


def test_the_example_of_settings_shows_the_defaults() -> None:
    """A number or a path in the example is the one in the settings."""
    code = text("starfish/router/settings.py")
    for name, default in re.findall(r'number\(\s*"([A-Z_]+)", ([0-9* ]+)', code):
        if name not in OF_THE_PROCESS:
            assert int(example()[name]) == eval(default)
    for name, default in re.findall(r'(?:choice|words)\(\s*"([A-Z_]+)", "([^"]*)"', code):
        assert example()[name] == default
    assert example()["ARTIFACTS_DIR"] == "var/artifacts"


def test_a_copy_of_the_example_is_settings_for_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in read_by_the_settings():
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".env").write_text(text(".env.example"))
    given = Environment.read(tmp_path)
    assert not [name for name in ("DATABASE_HOST", "DATABASE_NAME", "SECRET_KEY") if given.secret(name)]
    assert given.flag("DEBUG", default=True) is False


def test_compose_has_what_operators_know_by_name() -> None:
    services, volumes = compose()["services"], compose()["volumes"]
    assert set(services) == {"starfish-router", "postgres"}
    assert all(service["container_name"] == name for name, service in services.items())
    assert services["starfish-router"]["volumes"] == ["artifacts:/starfish/artifacts"]
    assert services["postgres"]["volumes"] == ["database:/var/lib/postgresql/data"]
    assert set(volumes) == {"artifacts", "database"}
    assert services["starfish-router"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert services["starfish-router"]["env_file"] == ".env"
    assert "ports" not in services["postgres"], "the database has no address outside"


def test_compose_gives_the_router_settings_that_it_reads_and_insists_on_secrets() -> None:
    environment = compose()["services"]["starfish-router"]["environment"]
    assert {name for name in environment if not name.startswith("PG")} <= read_by_the_settings()
    assert environment["SECRET_KEY"].startswith("${SECRET_KEY:?")
    assert environment["DATABASE_PASSWORD"].startswith("${DATABASE_PASSWORD:?")
    for ours, libpq in (("DATABASE_HOST", "PGHOST"), ("DATABASE_PORT", "PGPORT"), ("DATABASE_PASSWORD", "PGPASSWORD")):
        assert environment[ours] == environment[libpq], "pg_dump in the container finds the same database"
    database = compose()["services"]["postgres"]["environment"]
    for ours, theirs in (("DATABASE_NAME", "POSTGRES_DB"), ("DATABASE_USER", "POSTGRES_USER"), ("DATABASE_PASSWORD", "POSTGRES_PASSWORD")):
        assert environment[ours] == database[theirs]


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n\s*", " ", text("Dockerfile"))
    return [(word, rest) for word, rest in re.findall(r"^([A-Z]+) (.*)$", joined, re.MULTILINE)]


def test_the_image_copies_what_is_there_and_allowed() -> None:
    allowed = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    copied = [name for word, rest in instructions() if word == "COPY" and "--from" not in rest for name in rest.split()[:-1]]
    assert set(copied) == allowed
    assert all((ROOT / name).exists() for name in copied)
    project = tomllib.loads(text("pyproject.toml"))["project"]
    assert {project["readme"], *project["license-files"]} <= set(copied), "Poetry reads these when it installs the package"


def test_the_image_runs_as_an_ordinary_user_from_the_folder_of_manage_py() -> None:
    last_stage = instructions()[[word for word, _ in instructions()].index("FROM", 1) :]
    words = dict(last_stage)
    assert words["USER"] == "starfish"
    assert words["WORKDIR"] == "/starfish/app"
    assert ("COPY", "manage.py ./") in last_stage
    assert {"STARFISH_CONTAINER=true", "ARTIFACTS_DIR=/starfish/artifacts"} <= set(words["ENV"].split())
    assert "/healthz" in words["HEALTHCHECK"]
    assert words["CMD"] == '["sh", "deploy/container.sh"]'
    assert all(image.startswith("python:3.11-slim") for word, image in instructions() if word == "FROM")
    assert not re.search(r"\b(SECRET_KEY|DATABASE_PASSWORD)\b", text("Dockerfile"))


def test_the_container_s_script_is_a_script() -> None:
    subprocess.run(["sh", "-n", "deploy/container.sh"], cwd=ROOT, check=True)
    script = text("deploy/container.sh")
    assert script.rstrip().endswith("exec starfish router serve --bind 0.0.0.0:8000 --workers 2")
    assert_command("starfish router serve --bind 0.0.0.0:8000 --workers 2")


@pytest.mark.parametrize("unit", ["deploy/starfish-router.service", "deploy/starfish-site.service"])
def test_what_a_unit_starts_exists(unit: str) -> None:
    for line in re.findall(r"^ExecStart(?:Pre)?=/opt/starfish/.venv/bin/(.*)$", text(unit), re.MULTILINE):
        assert_command(line)


def shown(document: str) -> list[str]:
    """The commands in a document: lines of its shell blocks, and what stands in backticks in its text."""
    blocks = re.findall(r"```shell\n(.*?)```", text(document), re.DOTALL)
    prose = re.sub(r"```.*?```", "", text(document), flags=re.DOTALL)
    lines = [line.strip() for block in blocks for line in re.sub(r"\\\n\s*", " ", block).splitlines()]
    return [*lines, *re.findall(r"`([^`\n]+)`", re.sub(r"\n", " ", prose))]


DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("*.md", "docs/howto/*.md", "docs/tutorial/*.md", "docs/explanation/*.md")
    for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of_ours_that_a_document_shows_exists(document: str) -> None:
    for line in shown(document):
        assert_command(line)


@pytest.mark.parametrize(
    "line",
    [
        "make nothing",
        "cd . && python3 manage.py nothing",
        "python3 manage.py runjob nothing",
        "starfish run nothing",
        "starfish site up --x",
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    with pytest.raises(AssertionError):
        assert_command(line)


def assert_command(line: str) -> None:
    """Of make, manage.py and starfish: the target, command and options exist. Other programs are not ours to check."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    for end, command in itertools.groupby(words, key=lambda word: set(word) <= set("&|;()<>")):
        if not end:
            _assert_simple(list(command), line)


def _assert_simple(words: list[str], line: str) -> None:
    for program, check in (("make", _make), ("manage.py", _manage), ("starfish", _starfish)):
        at = next((i for i, word in enumerate(words) if word == program or word.endswith(f"/bin/{program}")), None)
        if at is not None and len(words) > at + 1 and words[0] not in ("apt-get", "cp", "git", "psql", "useradd"):
            check(words[at + 1 :], line)
            return


def _make(words: list[str], line: str) -> None:
    targets = re.findall(r"^([a-z]+):", text("Makefile"), re.MULTILINE)
    assert all(word in targets for word in words if "=" not in word), line


def _manage(words: list[str], line: str) -> None:
    assert words[0] in get_commands(), line
    if words[0] == "runjob" and not words[1].startswith("<"):
        assert (ROOT / "starfish" / "router" / "jobs" / f"{words[1]}.py").exists(), line


def _starfish(words: list[str], line: str) -> None:
    command: Any = get_command(app)
    context = typer.Context(command)
    while words:
        word, *words = words
        if word.startswith("-") and word != "-":
            name = word.split("=")[0]
            option = next((it for it in command.params if name in (*it.opts, *it.secondary_opts)), None)
            assert option or name == "--help", f"{line}: {command.name} has no {name}"
            if option and not option.is_flag:
                words = words[1:]
        elif hasattr(command, "list_commands") and not word.isupper() and word not in ("...", "&"):
            assert word in command.list_commands(context), f"{line}: {command.name} has no command {word}"
            command = command.get_command(context, word)
