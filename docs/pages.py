"""The reference pages that follow from the code, as Markdown."""

import re
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from starfish.cli.main import app
from starfish.controller.guard.presets import NAMES, PURPOSE, RULES, written
from starfish.protocol.run_state import TABLE, RunStatus
from starfish.tasks import registry

ROOT = Path(__file__).parents[1]
HELP_WIDTH = 100


def run_states() -> str:
    """The state machine, as its one table has it."""
    return _page(
        "The states of a run",
        "Generated from `starfish/protocol/run_state.py` by `make docs`.",
        "![The states of a run](../images/run-states.png)",
        _table(("number", "state", "live"), [(str(status.value), status.word, "yes" if status.live else "no") for status in RunStatus]),
        _table(
            ("move", "from", "to", "who"),
            [
                (event.value, ", ".join(source.word for source in sorted(move.sources)), move.target.word, move.scope.value)
                for event, move in TABLE.items()
            ],
        ),
        "A move that already holds changes nothing and is answered as if it had been made. A move that this table does not have is\n"
        "refused (409) with the state that the run is in. At a barrier every run that is not left out of the round must be ready; all\n"
        "move in one transaction, and each move has a row in the history.",
    )


def parameters() -> str:
    """Every task's parameters and departures, as `starfish task show` prints them."""
    parts = []
    for name in registry.names():
        task = registry.load(name)
        parts += [f"## {name}", f"{task.title}. {(task.__doc__ or '').strip()}", "What leaves the site:"]
        parts.append("\n".join(f"- {line}" for line in task.leaves))
        fields = [
            (f"`{key}`", f"`{field.default!r}`", str(field.description))
            for key, field in task.Config.model_fields.items()
            if not field.exclude
        ]
        parts.append(_table(("parameter", "default", "meaning"), fields))
    return _page("Tasks and their parameters", "Generated from the tasks' own descriptions by `make docs`.", *parts)


def settings() -> str:
    """`.env.example`, as a table; a test holds it to what the router reads."""
    rows, comment = [], ""
    for block in re.split(r"\n\s*\n", (ROOT / ".env.example").read_text())[1:]:
        comment = ""
        for line in block.splitlines():
            setting = re.fullmatch(r"(?:# )?([A-Z_]+)=(.*)", line)
            if setting is None:
                comment += line.removeprefix("#")
                continue
            rows.append((f"`{setting[1]}`", f"`{setting[2]}`" if setting[2] else "", comment.strip()))
            comment = ""
    return _page(
        "Settings of the Routing Server",
        "Generated from [.env.example](../../.env.example) by `make docs`. A setting comes from the environment, or else from `.env` in\n"
        "the folder of `manage.py`. An empty one counts as not given. A wrong one is refused with a sentence when the server starts.",
        _table(("setting", "default", "meaning"), rows),
        "A site reads `STARFISH_HOME` (its folder; `--home` goes before it) and `STARFISH_POLL_S`: where it is given, the site asks the\n"
        "Routing Server every so many seconds, instead of waiting for its answer; for a proxy that allows no long request.",
    )


def policy() -> str:
    """Every rule of a site's policy, with the value in each preset."""
    rows = [(f"`{rule.name}`", *(f"`{written(rule.of(name))}`" for name in NAMES), rule.why) for rule in RULES]
    return _page(
        "The rules of a policy",
        "Generated from `starfish/controller/guard/presets.py` by `make docs`. [How to use them](../howto/policy.md).",
        "\n".join(f"- `{name}`: {PURPOSE[name]}" for name in NAMES),
        _table(("rule", *NAMES, "what it is for"), rows),
    )


def commands() -> str:
    """Every command's `--help`."""
    root = get_command(app)
    context = typer.Context(root, info_name="starfish", terminal_width=HELP_WIDTH)
    return _page("Commands", "Generated from the commands' own help by `make docs`.", *_helps(root, context, depth=2))


def _helps(command: Any, context: Any, *, depth: int) -> list[str]:
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    parts = [f"{'#' * depth} `{context.command_path}`", f"```text\n{text}\n```"]
    for name in command.list_commands(context) if hasattr(command, "list_commands") else ():
        below = command.get_command(context, name)
        parts += _helps(below, typer.Context(below, info_name=name, parent=context, terminal_width=HELP_WIDTH), depth=min(depth + 1, 3))
    return parts


def _page(title: str, *parts: str) -> str:
    return "\n\n".join((f"# {title}", *parts)) + "\n"


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
