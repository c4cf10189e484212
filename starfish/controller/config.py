"""A site's home: one folder is one site.

site.json       who the site is and where its Routing Server is
token, password what it logs in with (0600); token.next: the token that is about to take its place
datasets.json   its datasets, the projects they are bound to, and how their columns map to the projects' variables
policy.yaml     what it allows, whatever a project says
keys/           what it signs with and what is sealed to it (0600); its cards
trust.sqlite3   the projects that it is in by invitation, and what of them it has accepted
journal.sqlite3, daemon.json, daemon.lock, batches/   the daemon's
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from starfish.controller.errors import HomeError
from starfish.controller.files import read_object, write_durably, write_json
from starfish.controller.guard.presets import preset_text

if TYPE_CHECKING:
    from starfish.controller.daemon.journal import Journal
    from starfish.controller.datasets import Binding, Datasets
    from starfish.controller.trust.keyring import Keyring
    from starfish.controller.trust.store import TrustStore
    from starfish.sdk import Client

VERSION = 1
MEND_SECRET = "Restore it from a backup, or enrol the site anew."


@dataclass(frozen=True, kw_only=True)
class SiteConfig:
    """site.json. `site_id` is None until the Routing Server has answered the enrolment."""

    router: str
    uid: str
    name: str
    site_id: int | None
    auth: Literal["token", "basic"]
    username: str | None = None
    insecure: bool = False
    policy: str = "standard"
    version: int = VERSION


class Home:
    """The folder of one site. Nothing is read before it is asked for."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser().absolute()
        self.site_file = self.path / "site.json"
        self.token_file = self.path / "token"
        self.next_token_file = self.path / "token.next"
        self.password_file = self.path / "password"
        self.policy_file = self.path / "policy.yaml"
        self.datasets_file = self.path / "datasets.json"
        self.journal_file = self.path / "journal.sqlite3"
        self.trust_file = self.path / "trust.sqlite3"
        self.daemon_file = self.path / "daemon.json"
        self.daemon_lock = self.path / "daemon.lock"
        self.batches = self.path / "batches"

    def __repr__(self) -> str:
        return f"Home({str(self.path)!r})"

    @property
    def exists(self) -> bool:
        return self.site_file.exists()

    def create(self, config: SiteConfig, secret: str) -> None:
        """Make the folder (0700) with all that the site needs; `secret` is its token or password. Raises HomeError."""
        if self.exists:
            raise HomeError(f"{self.path} is a site's home already. Choose another folder with --home.")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            # What an `init` cut short may have left behind, or an empty folder, is no reason to stop.
            foreign = {entry.name for entry in self.path.iterdir()} - {"token", "token.next", "password", "policy.yaml", "batches"}
            if any(not name.startswith(".") for name in foreign):
                raise HomeError(f"{self.path} holds other files. Choose a new or an empty folder with --home.")
            self.path.chmod(0o700)
            self.batches.mkdir(mode=0o700, exist_ok=True)
            self.store_secret(config, secret)
            write_durably(self.policy_file, preset_text(config.policy))
            self.save(config)
        except OSError as error:
            raise HomeError(f"{self.path} can't be made into a home: {error.strerror or error}.") from error

    def discard(self) -> None:
        """Take back `create`, of a site that its Routing Server refused."""
        for path in (self.site_file, self.token_file, self.password_file, self.policy_file):
            path.unlink(missing_ok=True)
        self.batches.rmdir()
        with suppress(OSError):  # the folder may hold what was there before
            self.path.rmdir()

    def save(self, config: SiteConfig) -> None:
        write_json(self.site_file, asdict(config))

    def store_secret(self, config: SiteConfig, secret: str) -> None:
        write_durably(self._secret_file(config), secret.encode())

    def load(self) -> SiteConfig:
        """Raises HomeError."""
        if not self.path.is_dir():
            reason = "is a file, not a folder" if self.path.exists() else "does not exist"
            raise HomeError(
                f"The home {self.path} {reason}. Make a site there with 'starfish site init', or name another folder with --home."
            )
        if not self.exists:
            raise HomeError(
                f"{self.path} is not a site's home (it has no site.json). Make one with 'starfish site init', or name another with --home."
            )
        raw = read_object(self.site_file)
        if raw.get("version") != VERSION:
            raise HomeError(
                f"{self.site_file} is of version {raw.get('version')!r} and this Starfish reads version {VERSION}. "
                "Use the Starfish that made this home."
            )
        return _config(self.site_file, raw)

    def secret(self, config: SiteConfig) -> str:
        """The token or the password. Raises HomeError, also where others may read it."""
        path = self._secret_file(config)
        try:
            if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise HomeError(f"{path} may be read by others on this machine. Close it with 'chmod 600 {path}'.")
            secret = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise HomeError(f"{path} can't be read: {error.strerror or error}. {MEND_SECRET}") from error
        except UnicodeDecodeError:
            raise HomeError(f"{path} is damaged: it is no text. {MEND_SECRET}") from None
        if not secret or not secret.isprintable() or (config.auth == "token" and not (secret.isascii() and " " not in secret)):
            raise HomeError(f"{path} is damaged: it holds no {config.auth if config.auth == 'token' else 'password'}. {MEND_SECRET}")
        return secret

    def client(self) -> "Client":
        """The Routing Server, as this site. Raises HomeError."""
        from starfish.sdk import Client

        config = self.load()
        secret = self.secret(config)
        if config.auth == "token":
            return Client(config.router, token=secret, fresh_token=lambda: self._token_by_now(config))
        return Client(config.router, username=config.username, password=secret)

    def _token_by_now(self, config: SiteConfig) -> str | None:
        """The daemon may have renewed it."""
        try:
            return self.secret(config)
        except HomeError:
            return None

    @contextmanager
    def journal(self) -> "Iterator[Journal]":
        """The journal, made where there is none. Raises HomeError where it is damaged."""
        import sqlite3

        from starfish.controller.daemon.journal import Journal

        try:
            with Journal(self.journal_file) as journal:
                yield journal
        except sqlite3.Error as error:
            raise HomeError(
                f"{self.journal_file} can't be used ({error}). It must be this user's own; where it is damaged, restore it from a "
                "backup or move it away: the daemon makes a new one, and the record of what happened and left is lost."
            ) from error

    @property
    def keys(self) -> "Keyring":
        from starfish.controller.trust.keyring import Keyring

        return Keyring(self.path / "keys")

    @contextmanager
    def trust(self) -> "Iterator[TrustStore]":
        """What the site has accepted of sealed projects. Raises HomeError where it is damaged."""
        import sqlite3

        from starfish.controller.trust.store import TrustStore

        try:
            with TrustStore(self.trust_file) as store:
                yield store
        except sqlite3.Error as error:
            raise HomeError(
                f"{self.trust_file} can't be used ({error}). Restore it from a backup; it says which manifests and orders hold."
            ) from error

    @property
    def datasets(self) -> "Datasets":
        from starfish.controller.datasets import Datasets

        return Datasets(self.datasets_file)

    def bind(self, project_id: int, project: str, dataset: str | None) -> None:
        """Let `dataset` answer for this project; None: take part without data. Raises UnknownName."""
        self.datasets.bind(project_id, project, dataset)

    def binding(self, project_id: int) -> "Binding | None":
        """What this site takes part with in a project; None where nobody has said yet."""
        return self.datasets.binding(project_id)

    def work(self, project_id: int, batch: int) -> Path:
        """The folder of one batch; not made here."""
        return self.batches / f"{project_id}-{batch}"

    def _secret_file(self, config: SiteConfig) -> Path:
        return self.token_file if config.auth == "token" else self.password_file

    def daemon_pid(self) -> int | None:
        """The process of `site up`, where one runs."""
        import fcntl

        try:
            descriptor = os.open(self.daemon_lock, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _pid(self.daemon_file)
        finally:
            os.close(descriptor)
        return None


def _config(path: Path, raw: Mapping[str, Any]) -> SiteConfig:
    known = {field.name for field in fields(SiteConfig)}
    types = {"router": str, "uid": str, "name": str, "site_id": int | None, "username": str | None, "insecure": bool, "policy": str}
    wrong = [key for key, kind in types.items() if not isinstance(raw.get(key), kind)]
    wrong += [key for key in raw if key not in known]
    if raw.get("auth") not in ("token", "basic"):
        wrong.append("auth")
    if wrong:
        raise HomeError(
            f"{path} is damaged: {', '.join(repr(key) for key in wrong)} is missing, wrong or unknown. Restore it from a backup."
        )
    return SiteConfig(**raw)


def _pid(path: Path) -> int:
    """0 where the daemon that has just begun has not said it yet."""
    if not path.exists():
        return 0
    pid = read_object(path).get("pid")
    return pid if isinstance(pid, int) else 0
