"""Attacks on what a batch is: its tasks, its order, the manifest that it runs under."""

from collections.abc import Callable, Sequence
from typing import Any

from starfish.cli.attack import forging
from starfish.cli.attack.scenes import Rules, in_batch, letters, offered, on_a_look, order_of, project_uid
from starfish.cli.attack.traffic import Answer, Rule, answers, json_answers, runs
from starfish.cli.attack.world import Study, World

Tasks = list[dict[str, Any]]
ORDER = r"runs/\d+/order/"
LATER = 99


def _tasks(change: Callable[[Tasks], Tasks]) -> Rules:
    """In every run that any site is shown."""
    return lambda world, study: [runs(study.id, lambda run: {**run, "tasks": change(run["tasks"])})]


def _other_model(tasks: Tasks) -> Tasks:
    return [{**tasks[0], "model": "Echo"}, *tasks[1:]]


def _more_rounds(tasks: Tasks) -> Tasks:
    return [{**task, "config": {**task["config"], "total_round": 500}} for task in tasks]


def _other_order(tasks: Tasks) -> Tasks:
    return [{**task, "seq": seq} for seq, task in enumerate(tasks[::-1], start=1)]


def _a_task_less(tasks: Tasks) -> Tasks:
    return tasks[:1]


def _order_of_the_first_batch(world: World, study: Study) -> Sequence[Rule]:
    old = order_of(world, study, 1)
    return [answers("GET", ORDER, lambda answer: answer.with_body(old))]


def _forged_order(world: World, study: Study) -> Sequence[Rule]:
    keys = forging.impostor(world.north.home.keys.current().card)
    forged = forging.order(keys, project_uid(world, study), study.batch + 1)
    return [answers("GET", ORDER, lambda answer: answer.with_body(forged))]


def _order_of_another_project(world: World, study: Study) -> Sequence[Rule]:
    other = order_of(world, world.other, 1)
    return [answers("GET", ORDER, lambda answer: answer.with_body(other))]


def _older_letters_alone(world: World, study: Study) -> Sequence[Rule]:
    return [json_answers("GET", rf"projects/{study.id}/manifests/", lambda listed: listed[:-1], sites=["South"])]


def _older_letter_as_the_newest(world: World, study: Study) -> Sequence[Rule]:
    return offered(study, letters(world, study, "South")[0], LATER)


def _letter_of_another_member(world: World, study: Study) -> Sequence[Rule]:
    return offered(study, letters(world, study, "West")[-1], LATER)


def _letter_of_another_project(world: World, study: Study) -> Sequence[Rule]:
    return offered(study, letters(world, world.other, "South")[-1], LATER)


def _forged_letter(world: World, study: Study) -> Sequence[Rule]:
    keys = forging.impostor(world.north.home.keys.current().card)
    reader = world.south.home.keys.current().card
    return offered(study, forging.letter(reader, keys, [keys.card], project_uid(world, study), LATER), LATER)


def _cut_letter(world: World, study: Study) -> Sequence[Rule]:
    return offered(study, letters(world, study, "South")[-1][:-1], LATER)


def _by_name(world: World, study: Study) -> Sequence[Rule]:
    """A project that anyone may join, with tasks of the attacker's and no order."""

    def change(project: dict[str, Any]) -> dict[str, Any]:
        return {**project, "joining": "by-name", "definition": {}, "tasks": project.get("tasks", [])}

    sites = ["South", "West"]
    return [
        json_answers("GET", rf"projects/{study.id}/", change, sites=sites),
        answers("GET", ORDER, lambda answer: Answer.not_found(), sites=sites),
    ]


TASKS = "The Routing Server's tasks are not those of manifest"
ATTACKS = (
    in_batch(
        "alter a task's model",
        "says that the first task is another analysis",
        notices="South",
        names=TASKS,
        rules=_tasks(_other_model),
    ),
    in_batch("alter the order of the tasks", "lets the last task come first", notices="South", names=TASKS, rules=_tasks(_other_order)),
    in_batch("leave a task out", "shows the first task alone", notices="West", names=TASKS, rules=_tasks(_a_task_less)),
    in_batch(
        "alter the number of rounds",
        "gives each task 500 rounds",
        notices="South",
        names="more rounds than manifest",
        rules=_tasks(_more_rounds),
    ),
    in_batch(
        "replay the order of batch 1",
        "opens the next batch with the order of the first",
        notices="South",
        names="it is for batch 1",
        rules=_order_of_the_first_batch,
    ),
    in_batch(
        "hand another project's order",
        "opens the batch with an order that the same coordinator gave for another project",
        notices="South",
        names="The batch order does not open",
        rules=_order_of_another_project,
    ),
    in_batch(
        "forge an order",
        "signs an order with keys of its own",
        notices="West",
        names="The batch order does not open",
        rules=_forged_order,
    ),
    in_batch(
        "show a sealed project as one that is joined by name",
        "says that anyone may join, and that there is no order",
        notices="South",
        names="has no order of the coordinator's",
        rules=_by_name,
    ),
    on_a_look(
        "hide the newest manifest",
        "shows the letters up to the one before",
        names="it was rolled back",
        rules=_older_letters_alone,
    ),
    on_a_look(
        "hand an older letter",
        "hands the first letter as the newest",
        names="and version 2 was shown",
        rules=_older_letter_as_the_newest,
    ),
    on_a_look(
        "hand another member's letter",
        "hands South the letter to West",
        names="it was sealed to somebody else",
        rules=_letter_of_another_member,
    ),
    on_a_look(
        "hand another project's letter",
        "hands South its own letter of another project",
        names="of another project than the one that was joined",
        rules=_letter_of_another_project,
    ),
    on_a_look(
        "forge a letter",
        "seals to South a manifest that it has signed itself, with a card of the coordinator's name",
        names="another card of 'North' with version 1 than the known one",
        rules=_forged_letter,
    ),
    on_a_look("cut a letter", "keeps its last byte back", names="damaged or cut", rules=_cut_letter),
)
