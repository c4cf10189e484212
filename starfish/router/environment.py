"""Settings as operators give them: from the environment, then `.env`; typed, and loud when wrong."""

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


class Environment:
    """Reads one variable at a time; an empty value counts as absent."""

    def __init__(self, values: Mapping[str, str], root: Path) -> None:
        self.values = values
        self.root = root

    @classmethod
    def read(cls, root: Path) -> "Environment":
        """The process's environment on top of `root/.env`."""
        return cls({**_read_file(root / ".env"), **os.environ}, root)

    def text(self, name: str, default: str = "") -> str:
        return self.values.get(name, "").strip() or default

    def secret(self, name: str) -> str:
        """`NAME`, or the contents of the file that `NAME_FILE` names."""
        path = self.text(f"{name}_FILE")
        if not path:
            return self.text(name)
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read: {error}.") from error

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.text(name).lower()
        if value and value not in TRUE | FALSE:
            raise ImproperlyConfigured(f"{name} is {value!r}; write True or False.")
        return value in TRUE if value else default

    def number(self, name: str, default: int, *, minimum: int = 0, maximum: int | None = None) -> int:
        value = self.text(name, str(default))
        if not value.isascii() or not value.isdigit() or len(value) > 18 or not minimum <= int(value) <= (maximum or int(value)):
            allowed = f"{minimum} or more" if maximum is None else f"from {minimum} to {maximum}"
            raise ImproperlyConfigured(f"{name} is {value[:50]!r}; write a whole number, {allowed}.")
        return int(value)

    def refuse(self, name: str, reason: str) -> None:
        """A setting that would be ignored is not ignored in silence."""
        if self.text(name):
            raise ImproperlyConfigured(f"{name} is set, but {reason}. Take it out.")

    def choice(self, name: str, default: str, allowed: Sequence[str]) -> str:
        value = self.text(name, default).upper()
        if value not in allowed:
            raise ImproperlyConfigured(f"{name} is {value!r}; write one of {', '.join(allowed)}.")
        return value

    def words(self, name: str, default: str = "") -> list[str]:
        """A comma-separated list."""
        return [word.strip() for word in self.text(name, default).split(",") if word.strip()]

    def origins(self, name: str) -> list[str]:
        """A comma-separated list of addresses, scheme and host."""
        found = self.words(name)
        for origin in found:
            if not origin.startswith(("http://", "https://")):
                raise ImproperlyConfigured(f"{name} has {origin!r}; write it with its scheme, as https://starfish.example.org.")
        return found

    def path(self, name: str, default: str) -> Path:
        """Relative paths are under the root."""
        return (self.root / Path(self.text(name, default)).expanduser()).resolve()


def _read_file(path: Path) -> dict[str, str]:
    """`NAME=value` lines; a value may be quoted, and ` # ...` after an unquoted one is a comment."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()  # Windows' editors begin a file with a mark
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{path} cannot be read: {error}.") from error
    values = {}
    for number, line in enumerate(lines, start=1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ImproperlyConfigured(f"{path}, line {number}: write NAME=value.")
        values[name.strip()] = _unquoted(value.strip())
    return values


def _unquoted(value: str) -> str:
    quote = value[:1]
    if quote in ("'", '"') and quote in value[1:]:
        return value[1 : value.index(quote, 1)]
    return "" if value.startswith("#") else value.split(" #")[0].split("\t#")[0].strip()


def secret_key(environment: Environment) -> str:
    """SECRET_KEY; outside a container one is made once, in `var/secret_key`, readable to its owner only."""
    given = environment.secret("SECRET_KEY")
    if given:
        return given
    if environment.flag("STARFISH_CONTAINER", default=False):
        raise ImproperlyConfigured("In a container SECRET_KEY must be given: set it, or SECRET_KEY_FILE, to a long random text.")
    path = environment.root / "var" / "secret_key"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(48))
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise ImproperlyConfigured(f"SECRET_KEY is not set and {path} can be neither read nor made: {error}.") from error


def _write_once(path: Path, text: str) -> None:
    """Of several processes that start together, one wins and all read the same key."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text + "\n")
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
