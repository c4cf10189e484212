"""The states of a run, drawn from the one transition table: a move that is not in the table is not in the figure."""

from docs.svg import BLUE, LINE, MIST, PAPER, SAND, SEA, STAR, arrow, box, document, labelled, text
from starfish.protocol.run_state import TABLE, Event, RunStatus, Scope

S = RunStatus
WIDTH, HEIGHT, GAP, TOP, LOW = 118, 56, 70, 130, 330
CHAIN = (S.STANDBY, S.PREPARING, S.RUNNING, S.PENDING_SUCCESS, S.PENDING_AGGREGATING, S.AGGREGATING, S.SUCCESS)
PLACES = {status: (40 + i * (WIDTH + GAP), TOP) for i, status in enumerate(CHAIN)} | {S.PENDING_FAILED: (604, LOW), S.FAILED: (980, LOW)}
COLOURS = {Scope.SITE: BLUE, Scope.BATCH: STAR, Scope.EITHER: LINE}
LIVE = frozenset(CHAIN[:-1])


def run_states() -> str:
    """Raises ValueError for a move that this drawing has no place for."""
    parts = [box(30, TOP - 20, 6 * WIDTH + 5 * GAP + 18, HEIGHT + 40, fill=MIST, radius=14, dashed=True)]
    parts += [_move(event) for event in TABLE]
    parts += [_state(status) for status in RunStatus]
    parts += [_legend()]
    return document(1330, 510, "".join(parts), "The states of a run")


def _state(status: RunStatus) -> str:
    x, y = PLACES[status]
    fill = {S.SUCCESS: SEA, S.FAILED: SAND, S.PENDING_FAILED: SAND}.get(status, PAPER)
    return labelled(x, y, WIDTH, HEIGHT, status.word.split(" "), fill=fill, size=15)


def _move(event: Event) -> str:
    move, word = TABLE[event], event.value
    colour = COLOURS[move.scope]
    to = _middle(move.target)
    if event is Event.ADVANCE and move.sources == {S.AGGREGATING}:
        start = _middle(S.AGGREGATING)
        line = arrow(f"M{start},{TOP - 2} C{start},36 {to},36 {to},{TOP - 4}", colour=colour)
        return line + text((start + to) / 2, 48, f"{word}: the next round, or the next task", colour=colour, anchor="middle")
    if len(move.sources) == 1 and move.target in CHAIN:
        (source,) = move.sources
        return _across(_middle(source), to, TOP, word, colour, size=12)
    if move.sources == LIVE and move.target is S.PENDING_FAILED:
        return _down(to, word, colour)
    if move.sources == LIVE | {S.PENDING_FAILED} and move.target is S.FAILED:
        return _down(to, word, colour) + _across(_middle(S.PENDING_FAILED), to, LOW, word, colour, size=15)
    if move.sources == {S.FAILED, S.PENDING_FAILED} and move.target is S.STANDBY:
        under, bend = LOW + HEIGHT + 2, LOW + HEIGHT + 34
        joins = f"<path d='M{_middle(S.PENDING_FAILED)},{under} V{bend}' fill='none' stroke='{colour}' stroke-width='2'/>"
        line = arrow(f"M{_middle(S.FAILED)},{under} V{bend} H{to} V{TOP + HEIGHT + 4}", colour=colour)
        return joins + line + text(to + 12, bend - 10, f"{word}, while no newer batch exists", colour=colour)
    raise ValueError(f"the figure has no place for {word}: give it one in docs/state_figure.py")


def _middle(status: RunStatus) -> float:
    return PLACES[status][0] + WIDTH / 2


def _across(start: float, end: float, row: int, word: str, colour: str, *, size: int) -> str:
    y = row + HEIGHT / 2
    line = arrow(f"M{start + WIDTH / 2 + 2},{y} H{end - WIDTH / 2 - 4}", colour=colour)
    return line + text((start + end) / 2, y - 9, word, size=size, colour=colour, anchor="middle")


def _down(x: float, word: str, colour: str) -> str:
    return arrow(f"M{x},{TOP + HEIGHT + 22} V{LOW - 4}", colour=colour) + text(x + 10, 272, f"{word}, from any of these", colour=colour)


def _legend() -> str:
    parts = []
    for i, (scope, colour) in enumerate(COLOURS.items()):
        x = (40, 330, 760)[i]
        parts += [arrow(f"M{x},478 L{x + 40},478", colour=colour), text(x + 52, 483, scope.value, size=14, colour=colour)]
    return "".join(parts)
