"""No secret in a log, an error, a child's environment, a world-readable file, the repository: a real federation is searched for its own."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner, Result

from starfish.cli.main import app
from starfish.router.environment import Environment, secret_key
from tests.e2e.federation import STARFISH, Member
from tests.support.servers import ADMIN, ROOT, Databases, Server, serving

pytestmark = pytest.mark.timeout(300)  # a federation begins before the first test

PROJECT = "name: quiet\ndescription: How old\nvariables: {x: {type: number}}\ntasks:\n  - model: SummaryStatistics\n"
PASSWORD = "a-password-of-the-third-site"
SECRETS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{56,}"),
    "an age identity": re.compile(r"AGE-SECRET-KEY-1[A-Z0-9]{50,}"),
    "an invitation": re.compile(r"starfish-invitation-1\.[A-Za-z0-9_-]{60,}\."),
    "a token": re.compile(r"""(?i)\b(?:bearer|token|password|secret)["']?\s*[:=]?\s*["']?(?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{43}\b"""),
    "an access key": re.compile(r"\b(AKIA[0-9A-Z]{16}|ghp_[A-Za-z0-9]{36}|glpat-[A-Za-z0-9_-]{20})\b"),
}
VECTORS = "tests/vectors/"
"""Keys made for the vectors, which seal nothing else."""
OWN = ("token", "password", "keys")
"""Where a home keeps secrets."""
INVITED = r"trust\.sqlite3(-wal)?: the invitation"
"""And where a coordinator keeps what it has invited by."""


@dataclass
class Watch:
    """Samples the command lines of all processes below this one, and the environments of workers, as `ps` shows them."""

    lines: set[str] = field(default_factory=set)
    workers: dict[int, str] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.wait(0.01):
            for process in psutil.Process().children(recursive=True):
                try:
                    line = " ".join(process.cmdline())
                    self.lines.add(line)
                    if "controller.worker" in line and process.pid not in self.workers:
                        self.workers[process.pid] = json.dumps(process.environ())
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue


@dataclass
class Lived:
    """A federation that has done a sealed batch, and what it knows that nobody else may."""

    server: Server
    members: list[Member]
    said: list[str]
    """What commands printed for people, but for the lines that are made to be handed on."""
    secrets: dict[str, str]
    watch: Watch


@pytest.fixture(scope="module")
def lived(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("federation")
    with serving("serve", folder / "server", databases) as server:
        made = Lived(server, [], [], {"the administrator's password": ADMIN[1], "a site's password": PASSWORD}, Watch())
        try:
            _begin(made, folder)
            _study(made, folder)
            _errors(made, folder)
            yield made
        finally:
            for member in made.members:
                member.down()


def _begin(made: Lived, folder: Path) -> None:
    """Two sites by code, which are up, and one by password; all with data."""
    (folder / "rows.csv").write_text("x\n" + "\n".join(map(str, range(50))))
    (folder / "password").write_text(PASSWORD)
    made.server.create_superuser("third", PASSWORD)
    for number, name in enumerate(("First", "Second", "Third")):
        member = Member(name=name, home=folder / f"site-{number}")
        if name == "Third":
            login = ["--username", "third", "--password-file", str(folder / "password")]
        else:
            made.secrets[f"{name}'s code"] = json.loads(made.server.starfish("router", "enrol-code", "--name", name, "--json"))["code"]
            login = ["--enrol", made.secrets[f"{name}'s code"]]
        _tell(made, member, "site", "init", "--router", made.server.url, "--name", name, "--policy", "open", *login)
        _tell(made, member, "dataset", "add", "rows", str(folder / "rows.csv"))
        made.secrets |= {f"{name}'s {file.name}": _secret(file) for file in _secret_files(member.home)}
        made.members.append(member)
        if name != "Third":
            member.up()


def _secret_files(home: Path) -> list[Path]:
    keys = [file for file in (home / "keys").iterdir() if not file.name.startswith(("card-", "."))]
    assert len(keys) == 2, "what to sign with, and what to open with"
    return [*keys, *home.glob("token")]


def _secret(file: Path) -> str:
    """Without what stands around a key."""
    return next(line for line in file.read_text().splitlines() if line and not line.startswith(("#", "-----")))


def _study(made: Lived, folder: Path) -> None:
    """A project by invitation, and one batch of it."""
    first, second, third = made.members
    (folder / "project.yaml").write_text(PROJECT)
    _tell(made, first, "project", "create", str(folder / "project.yaml"), "--dataset", "rows", "--by-invitation")
    made.secrets["the invitation"] = json.loads(invoke(first, "project", "invite", "quiet", "--site", "Second", "--json").stdout)["line"]
    _tell(made, second, "project", "join", made.secrets["the invitation"], "--dataset", "rows")
    _tell(made, first, "project", "approve", "quiet")
    watching = threading.Thread(target=made.watch.run)
    watching.start()
    try:
        _tell(made, first, "run", "start", "quiet", "--wait")
    finally:
        made.watch.stop.set()
        watching.join()
    for command in ("show", "logs", "report"):
        _tell(made, first, "run", command, "quiet")
    _tell(made, third, "site", "status")


def _errors(made: Lived, folder: Path) -> None:
    """What people get wrong, some of it with tracebacks: a used code, no server, a line cut short, a wrong token."""
    used, line = made.secrets["First's code"], made.secrets["the invitation"]
    first, second, _ = made.members
    for number, router in enumerate((made.server.url, "http://127.0.0.1:1")):
        other = Member(name="Other", home=folder / f"other-{number}")
        _tell(made, other, "site", "init", "--router", router, "--name", "Other", "--enrol", used, fails=True)
        made.said.append(traced(other, "site", "init", "--router", router, "--name", "Another", "--enrol", used))
    _tell(made, second, "project", "join", line[:-1], "--dataset", "rows", fails=True)
    made.said.append(traced(second, "project", "join", line[:-1], "--dataset", "rows"))
    stolen = Member(name="Stolen", home=folder / "stolen")
    shutil.copytree(first.home, stolen.home, ignore=shutil.ignore_patterns("*.lock", "batches", "daemon.json"))
    (stolen.home / "token").write_text(made.secrets["First's token"][:-1])
    made.secrets["a token with a letter less"] = made.secrets["First's token"][:-1]
    _tell(made, stolen, "site", "doctor", fails=True)
    _tell(made, stolen, "project", "list", fails=True)
    made.said.append(traced(stolen, "project", "list"))


def invoke(member: Member, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--home", str(member.home)])


def _tell(made: Lived, member: Member, *arguments: str, fails: bool = False) -> None:
    done = invoke(member, *arguments)
    made.said.append(f"$ {' '.join(arguments[:2])}\n{done.stdout}{done.stderr}")
    assert bool(done.exit_code) == fails, made.said[-1]


def traced(member: Member, *arguments: str) -> str:
    """What such a command prints with a traceback, as a process prints it."""
    command = [STARFISH, *arguments, "--home", str(member.home), "--debug"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" in done.stderr, done.stderr
    return f"$ {' '.join(arguments[:2])} --debug\n{done.stdout}{done.stderr}"


def found(made: Lived, where: str, text: bytes | str) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    return [f"{where}: {name}" for name, secret in made.secrets.items() if secret.encode() in data]


@pytest.mark.slow
def test_no_secret_is_in_a_log_an_error_or_a_record(lived: Lived) -> None:
    files = [file for member in lived.members for file in member.home.rglob("*") if file.is_file()]
    files += [member.home.parent / f"{member.home.name}.out" for member in lived.members if member.daemon]
    files += [file for file in lived.server.folder.rglob("*") if file.is_file()]
    names = {file.name for file in files}
    assert {"server.log", "daemon.log", "worker.log", "journal.sqlite3", "site-0.out"} <= names, "what is searched is there"
    homes = [member.home for member in lived.members]
    kept = {file for file in files if any(home in file.parents and file.relative_to(home).parts[0] in OWN for home in homes)}
    assert kept
    leaks = [leak for file in files if file not in kept for leak in found(lived, file.name, file.read_bytes())]
    leaks = [leak for leak in leaks if not re.fullmatch(INVITED, leak)]
    assert leaks + [leak for text in lived.said for leak in found(lived, text.split("\n")[0], text)] == []


@pytest.mark.slow
def test_the_router_keeps_no_secret_as_it_is(lived: Lived) -> None:
    database = Path(lived.server.settings["DATABASE_NAME"])
    if lived.server.settings.get("DATABASE_HOST", "") or not database.exists():
        pytest.skip("the database is not a file")
    data = b"".join(file.read_bytes() for file in database.parent.glob(f"{database.name}*"))
    assert b"quiet" in data
    assert found(lived, "database", data) == []


@pytest.mark.slow
def test_no_secret_is_in_what_ps_shows(lived: Lived) -> None:
    assert len(lived.watch.workers) >= 2, "workers were seen at work"
    assert [leak for line in lived.watch.lines for leak in found(lived, line, line)] == []
    assert [leak for text in lived.watch.workers.values() for leak in found(lived, "a worker's environment", text)] == []


@pytest.mark.slow
def test_a_home_is_its_users_alone(lived: Lived) -> None:
    entries = [path for member in lived.members for path in (member.home, *member.home.rglob("*"))]
    assert any(path.match("batches/*/models/*") for path in entries)
    assert [str(path) for path in entries if path.stat().st_mode & 0o077 and not path.match("keys/card-*.txt")] == []


def test_what_the_router_makes_for_itself_is_its_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY")
    made = secret_key(Environment.read(tmp_path))
    assert made == (tmp_path / "var" / "secret_key").read_text().strip()
    assert {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "var", tmp_path / "var" / "secret_key")} == {
        "var": 0,
        "secret_key": 0,
    }


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in (ROOT / line for line in listed.stdout.splitlines()) if path.is_file()]


def keys_in(text: str) -> list[str]:
    return [what for what, pattern in SECRETS.items() if pattern.search(text)]


def test_no_key_is_in_the_repository() -> None:
    searched = [path for path in tracked() if path.suffix not in {".png", ".lock"} and VECTORS not in path.as_posix()]
    assert len(searched) > 300
    assert {str(path.relative_to(ROOT)): keys for path in searched if (keys := keys_in(path.read_text(errors="replace")))} == {}


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("a private key", "-----BEGIN PRIVATE KEY-----\n" + "A" * 64 + "\n"),
        ("an age identity", "AGE-SECRET-KEY-1" + "Q" * 58),
        ("an invitation", "starfish-invitation-1." + "a" * 80 + ".b"),
        ("a token", "Authorization: Bearer " + "a1" * 21 + "b"),
        ("a token", '"token": "' + "A1_" * 14 + 'b"'),
        ("an access key", "AKIA" + "A" * 16),
    ],
)
def test_a_key_would_be_found(what: str, text: str) -> None:
    assert what in keys_in(text)
