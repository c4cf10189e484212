"""A site's policy: a file that no project can override.

`open` is the only preset so far: it is for public data and holds nothing back. `standard` and `strict` arrive with sealed projects.
"""

from dataclasses import dataclass
from pathlib import Path

from starfish.controller.errors import FileError, HomeError
from starfish.controller.located_yaml import parse, read_text

PRESETS = ("open",)
LATER = ("standard", "strict")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """`preset` is its name. Numbers join it with the presets that hold them: one that nothing holds is not taken."""

    preset: str


def read_policy(path: Path) -> Policy:
    """Raises HomeError."""
    try:
        raw = parse(read_text(path)).value
    except FileError as error:
        raise HomeError(f"The policy {path}: {error}") from error
    if not isinstance(raw, dict) or set(raw) != {"preset"}:
        raise HomeError(f"The policy {path} must say 'preset: open' and nothing else.")
    preset = raw["preset"]
    if preset in LATER:
        raise HomeError(f"The policy preset '{preset}' is not here yet; it arrives with sealed projects. Only 'open' is (for public data).")
    if preset not in PRESETS:
        raise HomeError(f"The policy {path} names the preset {preset!r}; there is: {', '.join(PRESETS)}.")
    return Policy(preset=preset)
