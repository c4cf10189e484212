"""A site's home: what it holds survives, stays private, and says what is wrong with it."""

import fcntl
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from starfish.controller.config import Home, SiteConfig
from starfish.controller.errors import HomeError
from starfish.controller.files import write_durably

CONFIG = SiteConfig(router="http://127.0.0.1:8000", uid="6e0f4a0e-0000-4000-8000-000000000001", name="Hospital A", site_id=7, auth="token")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "a")
    home.create(CONFIG, "s" * 43)
    return home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_was_created_is_loaded(home: Home) -> None:
    assert Home(home.path).load() == CONFIG
    assert home.secret(CONFIG) == "s" * 43


def test_only_the_owner_may_read(home: Home) -> None:
    assert mode(home.path) == 0o700
    assert {path.name: mode(path) for path in home.path.iterdir()} == {
        "site.json": 0o600,
        "token": 0o600,
        "policy.yaml": 0o600,
        "batches": 0o700,
    }


def test_privacy_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Home(tmp_path / "a").create(CONFIG, "secret")
    finally:
        os.umask(before)
    assert mode(tmp_path / "a") == 0o700
    assert mode(tmp_path / "a" / "token") == 0o600


def test_an_open_folder_that_existed_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o755)
    Home(tmp_path / "a").create(CONFIG, "secret")
    assert mode(tmp_path / "a") == 0o700


def test_a_home_is_not_made_twice(home: Home) -> None:
    with pytest.raises(HomeError, match="is a site's home already"):
        home.create(CONFIG, "other")
    assert home.secret(CONFIG) == "s" * 43


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("mine")
    with pytest.raises(HomeError, match="holds other files"):
        Home(tmp_path).create(CONFIG, "secret")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_a_creation_cut_short_is_repeated(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("half")
    Home(tmp_path).create(CONFIG, "whole")
    assert Home(tmp_path).secret(CONFIG) == "whole"


def test_a_secret_that_others_may_read_is_refused(home: Home) -> None:
    home.token_file.chmod(0o640)
    with pytest.raises(HomeError, match="chmod 600"):
        home.secret(CONFIG)


@pytest.mark.parametrize("content", [b"", b"\n", b"one\ntwo", "tok\u00e9n".encode(), b"\xff\xfe"])
def test_a_damaged_secret_is_said(home: Home, content: bytes) -> None:
    home.token_file.write_bytes(content)
    with pytest.raises(HomeError, match=r"token is damaged: .*Restore it"):
        home.secret(CONFIG)


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"no database" * 100), lambda path: path.mkdir()])
def test_a_damaged_journal_is_said(home: Home, damage: Callable[[Path], object]) -> None:
    damage(home.journal_file)
    with pytest.raises(HomeError, match=r"journal.sqlite3 can't be used .*move it away"), home.journal():
        pass


def test_a_lost_secret_is_said(home: Home) -> None:
    home.token_file.unlink()
    with pytest.raises(HomeError, match="can't be read"):
        home.secret(CONFIG)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"[]", "no JSON object"),
        (b"{}", "version None"),
        (b'{"version": 2}', "version 2 and this Starfish reads version 1"),
        (b'{"version": 1}', "'router', 'uid'"),
    ],
)
def test_a_damaged_or_foreign_home_is_said(home: Home, content: bytes, message: str) -> None:
    home.site_file.write_bytes(content)
    with pytest.raises(HomeError, match=message):
        home.load()


@pytest.mark.parametrize(("key", "value"), [("router", 5), ("site_id", "7"), ("auth", "kerberos"), ("insecure", "no"), ("colour", "red")])
def test_a_wrong_entry_is_named(home: Home, key: str, value: object) -> None:
    home.site_file.write_text(json.dumps(json.loads(home.site_file.read_text()) | {key: value}))
    with pytest.raises(HomeError, match=f"'{key}'"):
        home.load()


def test_a_missing_home_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="site init"):
        Home(tmp_path / "nowhere").load()
    with pytest.raises(HomeError, match="site init"):
        Home(tmp_path).load()
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="is a file, not a folder"):
        Home(tmp_path / "file").load()


def test_the_daemon_is_known_by_its_lock(home: Home) -> None:
    assert home.daemon_pid() is None
    home.daemon_file.write_text('{"pid": 4711}')
    home.daemon_lock.touch()
    assert home.daemon_pid() is None, "a file left by a daemon that was killed is no daemon"
    with home.daemon_lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert home.daemon_pid() == 4711
    assert home.daemon_pid() is None


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")
    with pytest.raises(TypeError):
        write_durably(path, "no bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
