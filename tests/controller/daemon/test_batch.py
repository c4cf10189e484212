"""A batch's folder belongs to one run; a Routing Server that was restored may give its numbers again."""

from dataclasses import replace
from pathlib import Path

from starfish.controller.config import Home, SiteConfig
from starfish.controller.daemon.batch import Batch, Site
from starfish.controller.daemon.journal import Journal
from starfish.controller.trust.admission import Trusted
from starfish.protocol.run_state import RunStatus
from tests.controller.daemon.test_decide import a_run
from tests.fakes import FakeRouter


def test_another_run_of_the_same_numbers_finds_nothing_of_the_earlier_one(tmp_path: Path) -> None:
    home = Home(tmp_path / "site")
    home.create(SiteConfig(router="http://127.0.0.1:1", uid="aaaa", name="A", site_id=1, auth="token", policy="open"), "t" * 40)
    router = FakeRouter()
    client = router.add_site("A", "aaaa")
    router.open_batch(1, [("M", 3)])
    with Journal(home.journal_file) as journal, home.trust() as store:
        trusted = Trusted(client=client, store=store, keys=home.keys)  # type: ignore[arg-type]
        site = Site(home=home, config=home.load(), client=client, journal=journal, trusted=trusted)  # type: ignore[arg-type]
        run = replace(a_run(7, RunStatus.STANDBY), created_at="2026-01-01T00:00:00.000000Z")
        first = Batch(site, run)
        first.write_terms("p", {}, [], None)
        first.folder.write(first.folder.rows, b"rows of the first")
        assert Batch(site, run).folder.rows.read_bytes() == b"rows of the first"

        again = Batch(site, replace(run, created_at="2026-02-01T00:00:00.000000Z"))
        assert not again.folder.rows.exists()
        kept = again.folder.path.with_name("1-1-earlier-1")
        assert (kept / "rows.payload").read_bytes() == b"rows of the first"
        assert any("another_batch" in event.public for event in journal.events((1, 1)))
