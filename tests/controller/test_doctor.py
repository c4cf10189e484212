"""What `starfish site doctor` says of a real home at a real Routing Server, and that each thing that is wrong is said."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from starfish.controller.api import Site
from starfish.controller.api.doctor import Finding, findings
from starfish.controller.config import Home, SiteConfig
from starfish.controller.worker.isolation import level
from tests.e2e.federation import STARFISH
from tests.support.forbidding import WITHOUT_LANDLOCK, under

SITE = {"id": 1, "name": "Here", "uid": "u", "description": "", "status": 1}


class Answer(BaseHTTPRequestHandler):
    """A Routing Server whose clock is wrong, or that has none."""

    ahead: float | None = 0.0

    def do_GET(self) -> None:
        body = json.dumps(SITE).encode()
        self.send_response_only(200)
        if self.ahead is not None:
            self.send_header("Date", formatdate(time.time() + self.ahead, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def router() -> Iterator[Callable[[float | None], str]]:
    """The address of one whose clock is so many seconds ahead."""
    started: list[HTTPServer] = []

    def start(ahead: float | None) -> str:
        server = HTTPServer(("127.0.0.1", 0), type("Answering", (Answer,), {"ahead": ahead}))
        started.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[str], Site]]:
    """A site at an address; nobody is asked."""
    sites: list[Site] = []

    def made(router: str) -> Site:
        home = Home(tmp_path / "home")
        home.create(SiteConfig(router=router, uid="u", name="Here", site_id=1, auth="token"), "t" * 43)
        sites.append(Site(home.path))
        return sites[-1]

    yield made
    for site in sites:
        site.close()


def said(found: list[Finding], level: str) -> str:
    return " ".join(finding.what for finding in found if finding.level == level)


def test_a_site_in_order(make: Callable[[str], Site], router: Callable[[float | None], str], tmp_path: Path) -> None:
    site = make(router(0.0))
    (tmp_path / "rows.csv").write_text("x\n1\n")
    site.home.datasets.add("rows", str(tmp_path / "rows.csv"))
    (site.home.path / "datasets.lock").chmod(0o600)
    found = findings(site)
    assert said(found, "error") == ""
    for words in (
        "this user's alone",
        "The policy can be read",
        "answers, and knows this site",
        "clock and the Routing Server's agree",
        "GiB are free",
        "The dataset 'rows' can be read",
    ):
        assert words in said(found, "ok")
    assert "The daemon is not up" in said(found, "warning")
    isolated = "Task code runs isolated" in said(found, "ok")
    assert isolated == (level().complete and not level().reasons)


def test_what_is_wrong_is_said(make: Callable[[str], Site], tmp_path: Path) -> None:
    site = make("http://127.0.0.1:1")
    site.home.datasets.add("gone", str(tmp_path / "gone.csv"))
    site.home.token_file.chmod(0o640)
    site.home.policy_file.write_text("preset: lax\n")
    errors = said(findings(site), "error")
    assert f"may reach {site.home.token_file}" in errors
    assert "chmod -R go=" in errors
    assert "'lax'" in errors
    assert "The dataset 'gone' can't be read" in errors
    site.home.token_file.chmod(0o600)
    site.close()
    assert "does not answer" in said(findings(site), "error")


@pytest.mark.parametrize(("where", "how"), [("home", "error"), ("batches", "warning"), ("keys", "error")])
def test_what_others_may_reach_is_said(make: Callable[[str], Site], where: str, how: str) -> None:
    site = make("http://127.0.0.1:1")
    path = site.home.path if where == "home" else site.home.path / where
    path.mkdir(exist_ok=True)
    path.chmod(0o755)
    assert f"{path}" in said(findings(site), how)


@pytest.mark.parametrize(("ahead", "seconds"), [(600.0, 600), (-90.0, 90)])
def test_clocks_that_differ_are_said(
    make: Callable[[str], Site], router: Callable[[float | None], str], ahead: float, seconds: int
) -> None:
    [differ] = re.findall(r"differ by (\d+) s", said(findings(make(router(ahead))), "warning"))
    assert abs(int(differ) - seconds) < 5


def test_a_router_without_a_clock_is_said(make: Callable[[str], Site], router: Callable[[float | None], str]) -> None:
    assert "does not say what time it is" in said(findings(make(router(None))), "warning")


@pytest.mark.skipif(not level().complete, reason="this system can't shut a worker in, let alone half")
def test_a_system_that_cannot_isolate_is_said_with_what_the_policy_makes_of_it(make: Callable[[str], Site]) -> None:
    home = make("http://127.0.0.1:1").home.path
    command = under(WITHOUT_LANDLOCK, STARFISH, "site", "doctor", "--json", "--home", str(home))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, "the Routing Server is not there"
    [said] = [finding["what"] for finding in json.loads(done.stdout) if finding["what"].startswith("Task code")]
    assert said.startswith(
        "Task code runs not isolated. Tasks can read what the daemon's user can read: the system takes no Landlock rules"
    )
    assert "(not_isolated): " in said
