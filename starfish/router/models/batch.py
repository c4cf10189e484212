"""One execution of a project's tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import models

from starfish.router.models.base import Dated
from starfish.router.models.project import Project


class Batch(Dated):
    """Numbered in its project. All its runs share the tasks and the counters of rounds, so they stand here, once.

    `tasks` is the project's list as it was when the batch was opened, with `current_round` counting up; `cur_seq` is the task.
    `begins`: the coordinator has said beforehand that the present round is to begin as soon as all are prepared.
    `order`: what its coordinator opened it with, sealed; of an invitation project's batches alone.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="batches")
    number = models.PositiveIntegerField()
    tasks = models.JSONField(default=list)
    cur_seq = models.PositiveIntegerField(default=1)
    begins = models.BooleanField(default=False)
    order = models.BinaryField(null=True)

    class Meta:
        ordering = ["project_id", "number"]
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="a batch's number is used once")]

    def __str__(self) -> str:
        return f"{self.project}, batch {self.number}"

    @property
    def sealed(self) -> bool:
        """Whether its sites send nothing in the open."""
        return self.order is not None

    @property
    def config(self) -> dict[str, Any]:
        """The current task's config; of a project without tasks, one round of nothing."""
        config: dict[str, Any] = self.tasks[self.cur_seq - 1]["config"] if self.tasks else {"current_round": 1, "total_round": 1}
        return config

    @property
    def position(self) -> tuple[int, int]:
        """The current task and round."""
        return present_position(self.tasks, self.cur_seq)


def present_position(tasks: Sequence[Mapping[str, Any]], cur_seq: int) -> tuple[int, int]:
    """The task and round that a batch with these tasks is in."""
    return cur_seq, tasks[cur_seq - 1]["config"]["current_round"] if tasks else 1


def previous_position(tasks: Sequence[Mapping[str, Any]], cur_seq: int) -> tuple[int, int] | None:
    """The task and round whose global model the present round of a batch begins with."""
    _, turn = present_position(tasks, cur_seq)
    if turn > 1:
        return cur_seq, turn - 1
    return (cur_seq - 1, tasks[cur_seq - 2]["config"]["current_round"]) if cur_seq > 1 else None
