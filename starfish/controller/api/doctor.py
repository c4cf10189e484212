"""What a site's people should know about their machine and home, as `starfish site doctor` prints it."""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from starfish.controller.config import Home
from starfish.controller.errors import HomeError

if TYPE_CHECKING:
    from starfish.controller.api.site import Site
    from starfish.controller.guard.policy import Policy

LOW_SPACE = 2**30
MOST_SKEW_S = 60.0
"""An order, an invitation and a token end at a moment: clocks that differ by more take the one for expired or the other for good."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO
SECRETS = ("token", "token.next", "password", "keys")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`error`: the site can't work; `warning`: it can, but should not so; `ok`."""

    level: Literal["ok", "warning", "error"]
    what: str


def findings(site: "Site") -> list[Finding]:
    """In the order in which they should be mended. Raises HomeError where there is no home."""
    policy = _policy(site.home)
    found = [*_modes(site.home), policy[1], _isolation(site.home, policy[0]), *_router(site), _daemon(site.home)]
    return [*found, _space(site.home), *_datasets(site.home)]


def _modes(home: Home) -> list[Finding]:
    open_to_others = [path for path in _files(home.path) if path.lstat().st_mode & OTHERS and not path.match("keys/card-*.txt")]
    secret = [path for path in open_to_others if path == home.path or path.relative_to(home.path).parts[0] in SECRETS]
    if secret:
        return [_error(f"Others on this machine may reach {secret[0]}. Close the home with 'chmod -R go= {home.path}'; {_AFTERWARDS}")]
    if open_to_others:
        counted = "a file" if len(open_to_others) == 1 else f"{len(open_to_others)} files"
        closed = f"close them with 'chmod -R go= {home.path}'."
        return [_warning(f"The home is closed to others, but a copy would lay {counted} open, such as {open_to_others[0]}: {closed}")]
    return [_ok("The home and its secrets are this user's alone.")]


_AFTERWARDS = "if somebody may have looked, ask the Routing Server's operator to revoke the token, and enrol the site anew."


def _files(folder: Path) -> Iterator[Path]:
    yield folder
    for path, folders, files in os.walk(folder):
        yield from (entry for entry in (Path(path, name) for name in (*folders, *files)) if not entry.is_symlink() and entry.exists())


def _policy(home: Home) -> "tuple[Policy | None, Finding]":
    from starfish.controller.guard.policy import read_policy

    try:
        policy = read_policy(home.policy_file)
    except HomeError as error:
        return None, _error(str(error))
    return policy, _ok(f"The policy can be read: {policy.preset}.")


def _isolation(home: Home, policy: "Policy | None") -> Finding:
    """Really tried, in a process that ends at once."""
    from starfish.controller.worker.isolation import level

    found = level(home.batches if home.batches.is_dir() else None)
    if found.complete:
        return (_warning if found.reasons else _ok)(" ".join(("Task code runs isolated: no file but its own, no network.", *found.reasons)))
    allowed = policy.not_isolated if policy else ()
    who = allowed if isinstance(allowed, str) else ", ".join(allowed) or "none"
    return _warning(
        f"Task code runs not isolated. {' '.join(found.reasons)} The policy lets these tasks run all the same (not_isolated): {who}."
    )


def _router(site: "Site") -> list[Finding]:
    """Whether it answers this site, and whether the clocks agree."""
    from starfish.sdk import Problem, RouterUnreachable

    try:
        there = site.client.clock(site.config.uid)
    except (RouterUnreachable, Problem) as error:
        return [_error(f"The Routing Server at {site.config.router} can't be used: {error}")]
    except HomeError as error:
        return [_error(str(error))]
    found = [_ok(f"The Routing Server at {site.config.router} answers, and knows this site.")]
    if there is None:
        return [*found, _warning("The Routing Server does not say what time it is: whether the clocks agree is unknown.")]
    skew = abs((datetime.now(UTC) - there).total_seconds())
    if skew > MOST_SKEW_S:
        return [*found, _warning(f"This machine's clock and the Routing Server's differ by {skew:.0f} s. Let both follow a time server.")]
    return [*found, _ok("This machine's clock and the Routing Server's agree.")]


def _daemon(home: Home) -> Finding:
    if home.daemon_pid() is None:
        return _warning("The daemon is not up: no run goes on here. 'starfish site up' starts it.")
    return _ok("The daemon is up.")


def _space(home: Home) -> Finding:
    free = shutil.disk_usage(home.path).free
    text = f"{free / 2**30:.1f} GiB are free for batches at {home.path}."
    return _warning(text) if free < LOW_SPACE else _ok(text)


def _datasets(home: Home) -> Iterator[Finding]:
    """Whether each can be opened; what is in it, `dataset check` says."""
    for dataset in home.datasets.all():
        try:
            with open(Path(dataset.source).expanduser(), "rb") as file:
                file.read(1)
            yield _ok(f"The dataset '{dataset.name}' can be read.")
        except OSError as error:
            yield _error(f"The dataset '{dataset.name}' can't be read: {dataset.source}: {error.strerror or error}.")


def _ok(what: str) -> Finding:
    return Finding(level="ok", what=what)


def _warning(what: str) -> Finding:
    return Finding(level="warning", what=what)


def _error(what: str) -> Finding:
    return Finding(level="error", what=what)
