"""The Routing Server's audit as `starfish router audit` shows it, and the times that it is asked for."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from starfish.cli.session import WrongUsage
from starfish.cli.tables import plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType


def moment(text: str) -> datetime:
    """A date, a date and a time, or a number of days, hours or minutes ago; in UTC. Raises WrongUsage."""
    units = {"d": "days", "h": "hours", "m": "minutes"}
    number, unit = text[:-1], units.get(text[-1:])
    try:
        if unit and number.isascii() and number.isdigit():
            return datetime.now(UTC) - timedelta(**{unit: int(number)})
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise WrongUsage(f"--since is {text!r}; write 2026-11-24, 2026-11-24T10:30, 7d, 12h or 30m.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def events_table(found: list[dict[str, Any]]) -> "RenderableType":
    table = plain_table("At", "Account", "What", "Of")
    for event in found:
        what = f"{event['action']} (refused)" if event["refused"] else event["action"]
        table.add_row(second(event["at"]), _who(event), what, event["subject"])
    return table if found else "Nothing of this kind was recorded."


def reads_table(found: list[dict[str, Any]]) -> "RenderableType":
    table = plain_table("Hour", "Account", "What", "Times", right=(3,))
    for read in found:
        table.add_row(second(read["hour"])[:16], _who(read), read["kind"], str(read["count"]))
    return table if found else "No reads were counted."


def _who(entry: Mapping[str, Any]) -> str:
    """An account with its sites; none: the router's operator at the command line, or somebody without an account."""
    sites = f" ({', '.join(entry['sites'])})" if entry["sites"] else ""
    return f"{entry['account']}{sites}" if entry["account"] is not None else "-"


def second(time: str) -> str:
    """A time of the wire, for people."""
    return time[:19].replace("T", " ")
