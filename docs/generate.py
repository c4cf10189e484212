"""`make docs`: draws docs/images and writes the reference pages that follow from the code. `--check` says whether they are current.

PNG files are made with rsvg-convert (Debian: librsvg2-bin); without it the SVG files alone are written.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from docs import figures, pages, state_figure

HERE = Path(__file__).parent


def generated() -> dict[str, str]:
    """The generated text files, by their path below docs/."""
    return {
        "images/starfish.svg": figures.logo(),
        "images/starfish-arch.svg": figures.architecture(),
        "images/run-states.svg": state_figure.run_states(),
        "reference/run-states.md": pages.run_states(),
        "reference/tasks/parameters.md": pages.parameters(),
        "reference/settings.md": pages.settings(),
        "reference/commands.md": pages.commands(),
        "reference/policy.md": pages.policy(),
    }


def stale() -> list[str]:
    """What is on the disk and is not what the code says."""
    return [path for path, text in generated().items() if not (HERE / path).exists() or (HERE / path).read_text() != text]


def main() -> None:
    if "--check" in sys.argv:
        old = stale()
        sys.exit(f"Not current: {', '.join(old)}. Run make docs." if old else 0)
    for path, text in generated().items():
        (HERE / path).parent.mkdir(parents=True, exist_ok=True)
        (HERE / path).write_text(text)
    if not shutil.which("rsvg-convert"):
        sys.exit("The SVG files are written; for the PNG files install rsvg-convert (Debian: librsvg2-bin).")
    for svg in (HERE / "images").glob("*.svg"):
        subprocess.run(["rsvg-convert", "--zoom", "1.5", "--output", svg.with_suffix(".png"), svg], check=True)


if __name__ == "__main__":
    main()
