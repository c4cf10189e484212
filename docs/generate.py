"""`make docs`: draws docs/images and writes the reference pages that follow from the code. `--check` says whether they are current.

PNG files are made with rsvg-convert (Debian: librsvg2-bin); without it the SVG files alone are written.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from docs.figures import architecture, logo
from starfish.protocol.run_state import TABLE, RunStatus
from starfish.tasks import registry

HERE = Path(__file__).parent


def pages() -> dict[str, str]:
    """The generated text files, by their path below docs/."""
    return {
        "images/starfish.svg": logo(),
        "images/starfish-arch.svg": architecture(),
        "reference/run-states.md": run_states(),
        "reference/tasks/parameters.md": parameters(),
    }


def run_states() -> str:
    """The state machine, as its one table has it."""
    lines = [
        "# The states of a run",
        "",
        "Generated from `starfish/protocol/run_state.py` by `make docs`.",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> Standby",
    ]
    for event, move in TABLE.items():
        for source in sorted(move.sources):
            lines.append(f"    {_camel(source)} --> {_camel(move.target)}: {event.value}")
    lines += ["    Success --> [*]", "```", "", "| number | state | live |", "| --- | --- | --- |"]
    lines += [f"| {status.value} | {status.word} | {'yes' if status.live else 'no'} |" for status in RunStatus]
    lines += ["", "| move | from | to | who |", "| --- | --- | --- | --- |"]
    for event, move in TABLE.items():
        sources = ", ".join(source.word for source in sorted(move.sources))
        lines.append(f"| {event.value} | {sources} | {move.target.word} | {move.scope.value} |")
    lines += [
        "",
        "A move that already holds changes nothing and is answered as if it had been made. A move that this table does not have is",
        "refused (409) with the state that the run is in. At a barrier (moves of the whole batch) every run that is not left out must be",
        "ready; all move in one transaction.",
        "",
    ]
    return "\n".join(lines)


def parameters() -> str:
    """Every task's parameters and departures, as `starfish task show` prints them."""
    lines = ["# Tasks and their parameters", "", "Generated from the tasks' own descriptions by `make docs`.", ""]
    for name in registry.names():
        task = registry.load(name)
        lines += [f"## {name}", "", f"{task.title}. {(task.__doc__ or '').strip()}", "", "What leaves the site:", ""]
        lines += [f"- {line}" for line in task.leaves]
        lines += ["", "| parameter | default | meaning |", "| --- | --- | --- |"]
        for parameter, field in task.Config.model_fields.items():
            if not field.exclude:
                lines.append(f"| `{parameter}` | `{field.default!r}` | {field.description} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    stale = [path for path, text in pages().items() if not (HERE / path).exists() or (HERE / path).read_text() != text]
    if "--check" in sys.argv:
        sys.exit(f"Not current: {', '.join(stale)}. Run make docs." if stale else 0)
    for path, text in pages().items():
        (HERE / path).parent.mkdir(parents=True, exist_ok=True)
        (HERE / path).write_text(text)
    if not shutil.which("rsvg-convert"):
        sys.exit("The SVG files are written; for the PNG files install rsvg-convert (Debian: librsvg2-bin).")
    for svg in (HERE / "images").glob("*.svg"):
        subprocess.run(["rsvg-convert", "--zoom", "1.5", "--output", svg.with_suffix(".png"), svg], check=True)


def _camel(status: RunStatus) -> str:
    return status.word.replace(" ", "")


if __name__ == "__main__":
    main()
