"""From an Authorization header to a Caller. A password is hashed once for each process, not at every poll.

What is remembered is a keyed digest of the header, the account and the password hash that it matched. The account is read
each time, so that a changed password or a deactivated account ends at once. A site's token is looked up again after four seconds,
or where `live.keeper` looks out for revocations after ten minutes.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Collection

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.utils import timezone

from starfish.protocol.problems import TooMany, Unauthorized
from starfish.router.access import Caller
from starfish.router.actions import audit, tokens
from starfish.router.models import SiteToken

WRONG = "Wrong credentials"
EXPIRED = "The site's token expired on {:%Y-%m-%d}. Ask the router's operator to extend it ('starfish router extend'); it is renewed then."
MISSING = "Log in with HTTP Basic, or with a site's Bearer token."
_REMEMBERED, _TOKENS = 4096, 20_000
FAILURES, WITHIN_S = 30, 60.0


class _Verified:
    """Headers that were right, and for which password hash."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[int, str]] = OrderedDict()
        self._lock = threading.Lock()

    def digest(self, header: str) -> bytes:
        return hmac.digest(self._key, header.encode(), hashlib.sha256)

    def get(self, digest: bytes) -> tuple[int, str] | None:
        with self._lock:
            return self._known.get(digest)

    def put(self, digest: bytes, user: User) -> None:
        with self._lock:
            self._known[digest] = (user.pk, user.password)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


class _Failures:
    """Wrong passwords of late, by address and account: guessing is slow, and whoever has logged in before is not locked out."""

    def __init__(self) -> None:
        self._recent: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, who: tuple[str, str]) -> None:
        with self._lock:
            self._recent.setdefault(who, deque(maxlen=FAILURES)).append(time.monotonic())
            while len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)

    def too_many(self, who: tuple[str, str]) -> bool:
        with self._lock:
            recent = self._recent.get(who)
            return recent is not None and len(recent) == FAILURES and time.monotonic() - recent[0] < WITHIN_S


class _Tokens:
    """Bearer tokens that were good a moment ago, with whom they prove; a revocation ends them within KEPT_S, wherever it was made.

    As long as somebody looks out for revocations (`vouch`) they are kept longer, for the sake of those who only wait.
    """

    KEPT_S, WATCHED_S = 4.0, 600.0

    def __init__(self) -> None:
        self._watched_until = 0.0
        self._known: OrderedDict[str, tuple[float, Caller]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: str, *, watched: bool) -> Caller | None:
        found, now = self._known.get(digest), time.monotonic()
        kept = self.WATCHED_S if watched and now < self._watched_until else self.KEPT_S
        return found[1] if found and now - found[0] < kept else None

    def vouch(self) -> None:
        """All that is no longer good has been forgotten, just now."""
        self._watched_until = time.monotonic() + self.KEPT_S

    def put(self, digest: str, caller: Caller) -> None:
        with self._lock:
            self._known[digest] = (time.monotonic(), caller)
            self._known.move_to_end(digest)
            while len(self._known) > _TOKENS:
                self._known.popitem(last=False)

    def forget(self, sites: Collection[int] | None) -> None:
        with self._lock:
            if sites is None:
                self._known.clear()
                return
            for digest in [digest for digest, (_, caller) in self._known.items() if caller.site_ids & set(sites)]:
                del self._known[digest]


_verified = _Verified()
_tokens = _Tokens()
_failures = _Failures()


def caller_from(header: str | None, address: str | None) -> Caller:
    """`address` is where the request came from. Raises Unauthorized, TooMany."""
    scheme, _, rest = (header or "").strip().partition(" ")
    if scheme.lower() == "basic":
        return Caller.of_account(_account(rest.strip(), address or ""))
    if scheme.lower() == "bearer":
        return _site(rest.strip())
    raise Unauthorized(MISSING)


def remembered(header: str | None, *, watched: bool = False) -> Caller | None:
    """Whose Bearer token it is, if that was looked up a moment ago; asks no database. `watched`: or longer ago, if nothing is told yet."""
    digest = shown_token(header)
    return _tokens.get(digest, watched=watched) if digest else None


def forget_sites(sites: Collection[int] | None) -> None:
    """Their tokens (None: all) are looked up again."""
    _tokens.forget(sites)


def vouch() -> None:
    """Whoever calls this has just looked for tokens that are good no longer, and forgets them within a second or two."""
    _tokens.vouch()


def token_digest(token: str) -> str:
    """What the database keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def shown_token(header: str | None) -> str:
    """The digest of the Bearer token that came; of none where none did."""
    scheme, _, rest = (header or "").strip().partition(" ")
    return token_digest(rest.strip()) if scheme.lower() == "bearer" else ""


def _site(token: str) -> Caller:
    digest = token_digest(token)
    found = SiteToken.objects.select_related("site__owner").filter(sha256=digest).first()
    if found is None or found.revoked_at is not None:
        raise Unauthorized("The token is not known, was revoked, or was replaced by a newer one; ask the router's operator.")
    if found.expires_at <= timezone.now():
        raise Unauthorized(EXPIRED.format(found.expires_at))
    if found.site.owner is None or not found.site.owner.is_active:
        raise Unauthorized("The site's account is not active; ask the router's operator.")
    tokens.used(found)
    caller = Caller.of_site(found.site)
    _tokens.put(digest, caller)
    return caller


def _account(encoded: str, address: str) -> User:
    digest = _verified.digest(encoded)
    known = _verified.get(digest)
    if known:
        user = User.objects.filter(pk=known[0], is_active=True).first()
        if user is not None and secrets.compare_digest(user.password, known[1]):
            return user
    user = _checked(encoded, address)
    _verified.put(digest, user)
    return user


def _checked(encoded: str, address: str) -> User:
    """Hashes the password."""
    try:
        username, colon, password = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise Unauthorized(WRONG) from error
    if not colon or "\0" in username:
        raise Unauthorized(WRONG)
    who = (address, username)
    if _failures.too_many(who):
        raise TooMany("Too many wrong passwords for this account; wait a minute.")
    user = authenticate(username=username, password=password)
    if not isinstance(user, User):
        _failures.add(who)
        known = User.objects.filter(username=username).exists()  # what is none may be a password in the wrong place
        audit.refused(None, "login", f"{f'account {username}' if known else 'no account of this name'}, from {address or 'nowhere'}")
        raise Unauthorized(WRONG)
    return user
