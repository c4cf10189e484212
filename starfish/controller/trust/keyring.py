"""keys/ of a home: what the site signs with, what is sealed to it, and its cards. None of it is ever sent but the cards.

signing-N.pem  identity-N.txt   the private keys of card N (0600), in forms that other programs read
card-N.txt                      the card; written last, so that keys without one were never used
"""

import stat
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from starfish.controller.errors import HomeError
from starfish.controller.files import locked, write_durably
from starfish.sealing.errors import SealingError
from starfish.sealing.keys import Card, Identity, SigningKey, SiteKeys, follow, new_keys, rotated

MEND = "Restore the folder from a backup; without its keys the site is to be enrolled and invited anew."


class Keyring:
    """The keys of one site, all versions. Methods raise HomeError where they are missing, damaged or open to others."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def exists(self) -> bool:
        return (self.folder / "card-1.txt").exists()

    def make(self, uid: str, name: str) -> SiteKeys:
        """The site's first keys; where it has some, its present ones."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.folder / ".lock"):
            if not self.exists:
                self._write(new_keys(uid=uid, name=name, created=now()))
        return self.current()

    def rotate(self) -> SiteKeys:
        """New keys, whose card the present ones sign."""
        with locked(self.folder / ".lock"):
            self._write(rotated(self.current(), created=now()))
        return self.current()

    def current(self) -> SiteKeys:
        return self.of(self.chain()[-1])

    def of(self, card: Card) -> SiteKeys:
        """The keys of one of this site's cards."""
        version = card.version
        try:
            signing = SigningKey.from_pem(self._secret(f"signing-{version}.pem"))
            return SiteKeys(card=card, signing=signing, identity=self._identity(version))
        except (ValueError, SealingError) as error:
            raise HomeError(f"The keys of version {version} in {self.folder} are damaged: {error}. {MEND}") from error

    def identities(self) -> list[Identity]:
        """Of all cards whose identity is still kept, the newest first."""
        versions = range(len(self.chain()), 0, -1)
        return [self._identity(version) for version in versions if (self.folder / f"identity-{version}.txt").exists()]

    def let_go(self, days: int, *, at: datetime | None = None) -> list[int]:
        """Delete the identities of cards that were replaced more than `days` ago; which versions these are."""
        limit = (at or now()) - timedelta(days=days)
        old = [card.version for card, following in pairwise(self.chain()) if following.created < limit]
        gone = [version for version in old if (self.folder / f"identity-{version}.txt").exists()]
        for version in gone:
            (self.folder / f"identity-{version}.txt").unlink()
        return gone

    def chain(self) -> list[Card]:
        """The site's cards, from the first to the present one."""
        if not self.exists:
            raise HomeError(f"This site has no keys yet ({self.folder}). 'starfish site fingerprint' makes them.")
        cards: list[Card] = []
        while (path := self.folder / f"card-{len(cards) + 1}.txt").exists():
            try:
                cards.append(follow(cards[-1] if cards else None, [path.read_text(encoding="ascii")]))
            except (SealingError, UnicodeDecodeError, OSError) as error:
                raise HomeError(f"{path} is damaged: {error}. {MEND}") from error
        return cards

    def _identity(self, version: int) -> Identity:
        lines = [line for line in self._secret(f"identity-{version}.txt").splitlines() if line and not line.startswith("#")]
        try:
            return Identity.parse(lines[0] if lines else "")
        except ValueError as error:
            raise HomeError(f"{self.folder / f'identity-{version}.txt'} is damaged: {error}. {MEND}") from error

    def _secret(self, name: str) -> str:
        path = self.folder / name
        try:
            if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise HomeError(f"{path} may be read by others on this machine. Close it with 'chmod 600 {path}'.")
            return path.read_text(encoding="ascii")
        except UnicodeDecodeError:
            raise HomeError(f"{path} is damaged: it is no text. {MEND}") from None
        except OSError as error:
            raise HomeError(f"{path} can't be read: {error.strerror or error}. {MEND}") from error

    def _write(self, keys: SiteKeys) -> None:
        version = keys.card.version
        write_durably(self.folder / f"signing-{version}.pem", keys.signing.to_pem().encode("ascii"))
        identity = f"# created: {keys.card.created:%Y-%m-%dT%H:%M:%SZ}\n# public key: {keys.card.recipient}\n{keys.identity.text}\n"
        write_durably(self.folder / f"identity-{version}.txt", identity.encode("ascii"))
        write_durably(self.folder / f"card-{version}.txt", keys.card.text.encode("ascii"), mode=0o644)


def now() -> datetime:
    """In UTC, to the second, as all statements have the time."""
    return datetime.now(UTC).replace(microsecond=0)
