"""`run logs`, as it is drawn: nothing twice."""

from starfish.cli.console import SafeConsole
from starfish.cli.run import _logs
from starfish.controller.api.runs import LocalLine, SiteLog


def drawn(found: list[SiteLog], local: list[LocalLine]) -> list[str]:
    console = SafeConsole(width=120)
    with console.capture() as capture:
        console.print(_logs(found, local, own="North"))
    return [line.strip() for line in capture.get().splitlines() if line.strip()]


def line(text: str, level: str = "info") -> LocalLine:
    return LocalLine(at="12:00", level=level, text=text)


def test_a_sites_own_lines_stand_in_its_journal_alone() -> None:
    found = [SiteLog(site="North", text="12:00 prepared\n12:00 failed: age"), SiteLog(site="South", text="12:00 prepared\n")]
    local = [line("prepared"), line("failed: age", "error"), line("failed: age")]
    assert drawn(found, local) == [
        "South",
        "12:00 prepared",
        "North: this site's own journal, which stays here",
        "12:00 prepared",
        "12:00 failed: age",
    ]


def test_a_site_whose_journal_is_lost_still_reads_what_it_has_sent() -> None:
    assert drawn([SiteLog(site="North", text="12:00 prepared\n")], [])[:2] == ["North", "12:00 prepared"]
