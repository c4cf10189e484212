"""The report of a batch as JSON: what `run report --json` and `simulate --json` print."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import starfish
from starfish.controller.worker.folder import BatchFolder
from starfish.tasks.api import Task, TaskReport
from starfish.tasks.payload import Payload


def task_result(seq: int, rounds: int, task: Task, model: Payload, site_names: Mapping[str, str] | None) -> dict[str, Any]:
    """One entry of `tasks`. A task without an answer says why in `failure` and has no estimates."""
    failure = model.meta.get("failure")
    answer = TaskReport(converged=False, failure=failure) if failure else task.report(model, site_names=site_names)
    config = task.config.model_dump(mode="json")
    return {"seq": seq, "model": task.name, "title": task.title, "rounds": rounds, "config": config} | dataclasses.asdict(answer)


def write(
    path: Path,
    project: str,
    batch: int,
    tasks: Sequence[dict[str, Any]],
    flows: Sequence[Sequence[Mapping[str, Any]]],
    *,
    manifest: str | None = None,
) -> dict[str, Any]:
    """Write report.json and return it.

    `sites` are the rows of the first task; each task has its own beside it. `manifest`: the hash of the one that the batch ran under,
    None of a by-name project.
    """
    report = {
        "project": project,
        "batch": batch,
        "version": starfish.__version__,
        "manifest": manifest,
        "sites": list(flows[0]) if flows else [],
        "tasks": [task | {"sites": list(flow)} for task, flow in zip(tasks, flows, strict=True)],
    }
    BatchFolder.write_json(path, report)
    return report


def failures(report: Mapping[str, Any]) -> list[str]:
    """A sentence for each task that has no answer."""
    return [f"Task {task['seq']} ({task['model']}): {task['failure']['message']}" for task in report["tasks"] if task.get("failure")]
