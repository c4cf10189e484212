"""Settings as operators give them."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from starfish.router.environment import Environment, secret_key


def written(folder: Path, text: str) -> Environment:
    (folder / ".env").write_text(text, encoding="utf-8")
    return Environment.read(folder)


def test_a_file_as_the_readme_shows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEBUG", "DATABASE_NAME", "DATABASE_PASSWORD", "SECRET_KEY", "ALLOWED_HOSTS"):
        monkeypatch.delenv(name, raising=False)
    env = written(
        tmp_path,
        "# settings\nDEBUG=False                          # Set to False for production\nexport DATABASE_NAME=starfish-router\n"
        "SECRET_KEY='with # and \"quotes\"'\nDATABASE_PASSWORD=a#b\nEMPTY=\nALLOWED_HOSTS = a.example, b.example\nNOTHING=   # said\n\n",
    )
    assert env.flag("DEBUG", default=True) is False
    assert env.text("DATABASE_NAME") == "starfish-router"
    assert env.secret("SECRET_KEY") == 'with # and "quotes"'
    assert env.secret("DATABASE_PASSWORD") == "a#b"
    assert env.words("ALLOWED_HOSTS") == ["a.example", "b.example"]
    assert (env.text("EMPTY", "default"), env.text("NOTHING"), env.text("ABSENT")) == ("default", "", "")


def test_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_TIMEOUT_S", "5")
    assert written(tmp_path, "SITE_TIMEOUT_S=9\n").number("SITE_TIMEOUT_S", 60) == 5


@pytest.mark.parametrize("text", ["DEBUG", "=x", "A B=c", "1=2"])
def test_a_line_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="line 2"):
        written(tmp_path, f"A=1\n{text}\n")


def test_wrong_values_are_named_with_what_is_allowed(tmp_path: Path) -> None:
    env = Environment(
        {"DEBUG": "maybe", "PORT": "-1", "NUMBER": "٣", "LEVEL": "loud", "LARGE": "10", "HUGE": "9" * 5000, "ORIGINS": "a.example"},
        tmp_path,
    )
    for ask, message in (
        (lambda: env.flag("DEBUG", default=False), "DEBUG is 'maybe'; write True or False"),
        (lambda: env.number("PORT", 1), "PORT is '-1'"),
        (lambda: env.number("NUMBER", 1), "NUMBER"),
        (lambda: env.number("ABSENT", 1, minimum=2), "2 or more"),
        (lambda: env.number("LARGE", 1, maximum=9), "from 0 to 9"),
        (lambda: env.number("HUGE", 1), "HUGE"),
        (lambda: env.origins("ORIGINS"), "https://"),
        (lambda: env.refuse("LARGE", "it means nothing here"), "LARGE is set, but it means nothing here"),
        (lambda: env.choice("LEVEL", "INFO", ("INFO", "ERROR")), "INFO, ERROR"),
    ):
        with pytest.raises(ImproperlyConfigured, match=message):
            ask()


def test_a_file_from_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEBUG", raising=False)
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfDEBUG=True\r\nX=1\r\n")
    assert Environment.read(tmp_path).flag("DEBUG", default=False) is True


def test_secrets_may_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file\n")
    env = Environment({"DATABASE_PASSWORD_FILE": str(tmp_path / "password"), "SECRET_KEY_FILE": str(tmp_path / "none")}, tmp_path)
    assert env.secret("DATABASE_PASSWORD") == "from a file"
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FILE names"):
        secret_key(env)


def test_a_secret_key_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    first, second = (secret_key(Environment({}, tmp_path)) for _ in range(2))
    assert first == second
    assert len(first) > 40
    assert stat.S_IMODE((tmp_path / "var" / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "var").iterdir()] == ["secret_key"]
    assert secret_key(Environment({"SECRET_KEY": "given"}, tmp_path)) == "given"


def test_in_a_container_the_secret_key_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="must be given"):
        secret_key(Environment({"STARFISH_CONTAINER": "1"}, tmp_path))
    assert not (tmp_path / "var").exists()


def test_wrong_settings_are_a_sentence_for_manage_py() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "manage.py", "check"], cwd=root, env={**os.environ, "DEBUG": "maybe"}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "DEBUG is 'maybe'; write True or False.\n")
