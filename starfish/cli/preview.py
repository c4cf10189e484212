"""How `starfish run preview` looks."""

from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starfish.controller.preview import Preview, TaskOutlook


def view(found: "Preview") -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    from starfish.controller.preview import sentence

    parts: list[RenderableType] = [
        Text(f"'{found.project}' with the dataset '{found.dataset}', under the policy '{found.preset}'. Nothing has left.", style="bold")
    ]
    for task in found.tasks:
        parts += [Text(f"Task {task.seq}, {task.model}: {_rows(task)}"), Text(f"  {_numbers(task)}")]
        parts += [Text(f"  {sentence(measure)}", style="red" if measure.refuses else "") for measure in task.measures]
    if found.stopped:
        parts.append(Text(f"Alone the dry run ended early, which with others it need not: {found.stopped}"))
    if found.nearest is not None:
        parts.append(Text(f"Nearest rule: {sentence(found.nearest)}."))
    parts += [Text(f"A person would have to approve: {reason}") for reason in found.waits]
    parts += [Text(f"This site would refuse: {reason}", style="red") for reason in found.refusals]
    if not found.refusals:
        parts.append(Text("No rule that can be looked at beforehand would refuse it."))
    return Group(*parts)


def _rows(task: "TaskOutlook") -> str:
    return f"{task.used} rows" + ("" if task.events is None else f", {task.events} events")


def _numbers(task: "TaskOutlook") -> str:
    """Such as: 13 in round 1, 9 each in rounds 2 to 7."""
    spans, first = [], 1
    for numbers, rounds in groupby(task.numbers):
        last = first + len(list(rounds)) - 1
        spans.append(f"{numbers} in round {first}" if first == last else f"{numbers} each in rounds {first} to {last}")
        first = last + 1
    return f"Numbers that would leave: {', '.join(spans) or 'none'}; it may take {task.most_rounds} rounds at most."
