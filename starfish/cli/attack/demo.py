"""The whole play: every attack, then all that was there to be read; and how it looks."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starfish.cli.attack.attack import Attack, Result, attempt
from starfish.cli.attack.catalogue import ATTACKS
from starfish.cli.attack.reading import Found, read_all, seen
from starfish.cli.attack.world import World, world
from starfish.cli.tables import facts, plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType


def play(note: Callable[[str], None]) -> dict[str, Any]:
    """What came of it, as the command prints it. Raises DemoFailed."""
    note("A Routing Server, a hostile process in front of it and three sites are started, on loopback, in a folder that goes again.")
    with world() as made:
        made.study  # noqa: B018 - the sites work before anybody attacks them
        return played(made, ATTACKS, note)


def played(made: World, attacks: Sequence[Attack], note: Callable[[str], None]) -> dict[str, Any]:
    """These attacks, then the search. Raises DemoFailed."""
    results = []
    for attack in attacks:
        results.append(attempt(attack, made))
        note(f"{len(results)}/{len(attacks)} {attack.title}: {'noticed' if results[-1].held else 'NOT NOTICED'}")
    note("All that was stored and sent is searched.")
    found, sights = read_all(made), seen(made)
    return {
        "attacks": [_attack(result) for result in results],
        "search": [_found(it) for it in found],
        "seen": sights,
        "held": all(result.held for result in results) and all(it.held for it in found),
    }


def view(played: Mapping[str, Any]) -> "RenderableType":
    """Attacks, then what was looked for, then what the attacker did see."""
    from rich.console import Group

    attacks = plain_table("Attack", "Noticed by", "In these words")
    for it in played["attacks"]:
        attacks.add_row(f"{it['title']}: the attacker {it['does']}", it["noticed_by"] or "NOBODY", _words(it))
    search = plain_table("Looked for, in all that is stored and was sent", "Sealed study", "Study that is joined by name")
    for it in played["search"]:
        search.add_row(it["what"], f"{it['sealed']} of {it['of_sealed']}", f"{it['open']} of {it['of_open']}")
    lost = [it["title"] for it in played["attacks"] if not it["held"]] + [it["what"] for it in played["search"] if not it["held"]]
    verdict = (
        f"NOT HELD: {'; '.join(lost)}." if lost else f"All {len(played['attacks'])} attacks were noticed, and nothing sealed was read."
    )
    sights = facts({name: "; ".join(values) for name, values in played["seen"].items()})
    return Group(attacks, "", search, "", "What the attacker did see:", sights, "", verdict)


def _words(it: Mapping[str, Any]) -> str:
    computed: Sequence[str] = it["computed"]
    return f"{it['said']}{' BUT: ' + ', '.join(computed) if computed else ''}"


def _attack(result: Result) -> dict[str, Any]:
    attack = result.attack
    return {
        "title": attack.title,
        "does": attack.does,
        "noticed_by": attack.notices if result.noticed else None,
        "said": result.said,
        "computed": list(result.computed),
        "seconds": round(result.seconds, 1),
        "held": result.held,
    }


def _found(it: Found) -> dict[str, Any]:
    return {"what": it.what, "sealed": it.sealed, "of_sealed": it.of_sealed, "open": it.open, "of_open": it.of_open, "held": it.held}
