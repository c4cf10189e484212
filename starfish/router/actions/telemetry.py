"""What a site tells while it works: kept in whatever state its run is, without a change of the run and without waking anybody."""

from starfish.protocol.problems import Invalid, TooLarge
from starfish.router.models import Run, RunLines
from starfish.router.strict_json import acceptable

LINES_BYTES = 64 * 1024
"""Of one batch of lines, in UTF-8."""


def add_lines(run: Run, text: str) -> None:
    """Inside the caller's transaction, who has loaded the run with its batch, and may act for it. Raises Invalid, TooLarge."""
    if not text:
        raise Invalid("lines: there is none; leave them out where there is nothing to tell.")
    if not acceptable(text):
        raise Invalid("lines: the text holds a character that is none (NUL, or half of a surrogate pair).")
    if len(text.encode()) > LINES_BYTES:
        raise TooLarge(f"At most {LINES_BYTES} bytes of lines are taken at once (in UTF-8); send the rest in another request.")
    task_seq, round_seq = run.position
    RunLines.objects.create(run=run, task_seq=task_seq, round_seq=round_seq, text=text)
