"""What an operator should know about this router, as `starfish router doctor` prints it."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from django.conf import settings
from django.contrib.auth.models import User

from starfish.router.health import readiness

LOW_SPACE = 2**30


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`error`: it cannot serve; `warning`: it can, but should not so; `ok`."""

    level: Literal["ok", "warning", "error"]
    what: str


def findings() -> list[Finding]:
    """In the order in which they should be mended."""
    return [*_readiness(), *_settings(), *_space()]


def _readiness() -> list[Finding]:
    checks = readiness()
    if not checks["database"]["ok"]:
        return [_error(f"The database does not answer ({checks['database']['error']}); check the DATABASE_* settings, and that it runs.")]
    found = [_ok(f"The database answers ({checks['database']['kind']}).")]
    missing = checks["migrations"]["missing"]
    if missing:
        return [*found, _error(f"{len(missing)} migrations are missing; run: python3 manage.py migrate")]
    if not checks["storage"]["ok"]:
        found.append(_error(f"{settings.ARTIFACTS_DIR} (ARTIFACTS_DIR) cannot be written to by this user."))
    if checks["sweep"]["last"] is None:
        found.append(
            _warning("check_site_status has never run; `starfish router serve` does it, or: python3 manage.py runjob check_site_status")
        )
    if not User.objects.filter(is_superuser=True, is_active=True).exists():
        found.append(_warning("There is no superuser; run: python3 manage.py createsuperuser"))
    return found


def _settings() -> list[Finding]:
    found = []
    if settings.DEBUG:
        found.append(_warning("DEBUG is on: errors show settings and source. Set DEBUG=False."))
    if "*" in settings.ALLOWED_HOSTS:
        found.append(_warning("ALLOWED_HOSTS is *: any Host header is believed. Set it to the names by which sites reach this router."))
    if len(settings.SECRET_KEY) < 40:
        found.append(_warning("SECRET_KEY is short; use at least 40 random characters."))
    return found


def _space() -> list[Finding]:
    folder = Path(settings.ARTIFACTS_DIR)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    text = f"{free / 2**30:.1f} GiB are free for artifacts at {folder}."
    return [_warning(text) if free < LOW_SPACE else _ok(text)]


def _ok(what: str) -> Finding:
    return Finding(level="ok", what=what)


def _warning(what: str) -> Finding:
    return Finding(level="warning", what=what)


def _error(what: str) -> Finding:
    return Finding(level="error", what=what)
