"""A daemon's token against a real Routing Server: renewed in time, killed at any point, lost answers, and never a break."""

import json
import os
import secrets
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from starfish.controller.config import Home, SiteConfig
from starfish.controller.daemon import run
from starfish.controller.daemon.token import TokenKeeper
from starfish.sdk import Client, Unauthorized
from tests.controller.daemon.conftest import until
from tests.support.servers import Databases, Server, serving

SITES = """
import json, secrets, uuid
from datetime import timedelta
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from starfish.router.credentials import token_digest
from starfish.router.models import Site, SiteToken
made, now = [], timezone.now()
with transaction.atomic():
    for number in range(20):
        site = Site.objects.create(name=f"site {number}", uid=uuid.uuid4(), owner=User.objects.create_user(f"account {number}"))
        token = secrets.token_urlsafe(32)
        dates = {"created_at": now - timedelta(days=300), "expires_at": now + timedelta(days=65)}
        SiteToken.objects.create(site=site, sha256=token_digest(token), **dates)
        made.append({"id": site.pk, "uid": str(site.uid), "name": site.name, "token": token})
print(json.dumps(made))
"""
EXPIRE = """
from django.utils import timezone
from starfish.router.models import SiteToken
SiteToken.objects.filter(site__uid={uid!r}, replaces=None).update(expires_at=timezone.now())
"""
KILLED = """
import os, signal, sys
from starfish.controller.config import Home
from starfish.controller.daemon import token
from starfish.controller.daemon.token import TokenKeeper
def killing(function, when):
    def replacement(*args, **options):
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        function(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)
    return replacement
home, (when, what) = Home(sys.argv[1]), sys.argv[2].split()
client = home.client()
owner, name = {"write": (token, "write_durably"), "send": (client, "renew_token"), "replace": (token.os, "replace"),
               "sync": (token, "sync_folder"), "use": (client, "use_token")}[what]
setattr(owner, name, killing(getattr(owner, name), when))
TokenKeeper(home, home.load(), client).look()
"""


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """A site at the router."""

    id: int
    uid: str
    name: str
    token: str


@pytest.fixture(scope="module")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("serve", tmp_path_factory.mktemp("tokens"), databases) as running:
        yield running


@pytest.fixture(scope="module")
def enrolled(server: Server) -> Iterator[Enrolled]:
    """As many as the tests need, each with 65 of its token's 365 days left."""
    made = server.manage("shell", "--verbosity", "0", "-c", SITES)
    return iter([Enrolled(**it) for it in json.loads(made)])


@pytest.fixture
def home(server: Server, enrolled: Iterator[Enrolled], tmp_path: Path) -> Home:
    site, made = next(enrolled), Home(tmp_path / "home")
    made.create(SiteConfig(router=server.url, uid=site.uid, name=site.name, site_id=site.id, auth="token", policy="open"), site.token)
    return made


def expire(server: Server, home: Home) -> None:
    """The token that is in force."""
    server.manage("shell", "--verbosity", "0", "-c", EXPIRE.format(uid=home.load().uid))


def look(home: Home) -> None:
    with closing(home.client()) as client:
        TokenKeeper(home, home.load(), client).look()
        client.heartbeat(home.load().uid)


def works(home: Home, token: str | None = None) -> bool:
    with closing(Client(home.load().router, token=token or home.token_file.read_text())) as client:
        try:
            return client.token_life().left > 0
        except Unauthorized:
            return False


def test_it_is_renewed_when_less_than_a_third_is_left(home: Home) -> None:
    old = home.token_file.read_text()
    look(home)
    assert home.token_file.read_text() != old
    assert not home.next_token_file.exists()
    assert stat.S_IMODE(home.token_file.stat().st_mode) == 0o600
    assert works(home)
    assert not works(home, old)
    new = home.token_file.read_text()
    look(home)
    assert home.token_file.read_text() == new, "it is good for a year"


@pytest.mark.parametrize(
    "point", ["before write", "after write", "before send", "after send", "before replace", "before sync", "before use"]
)
def test_a_daemon_that_is_killed_leaves_a_site_that_works(home: Home, point: str) -> None:
    old = home.token_file.read_text()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(home.path), point], check=False, stderr=subprocess.PIPE, timeout=60)
    assert killed.returncode == -9, killed.stderr.decode()
    assert stat.S_IMODE(home.token_file.stat().st_mode) == 0o600
    look(home)
    assert works(home)
    assert not home.next_token_file.exists()
    assert home.token_file.read_text() != old
    assert not works(home, old)


def test_a_site_that_was_down_when_its_old_token_ended_goes_on_with_the_new_one(server: Server, home: Home) -> None:
    new = secrets.token_urlsafe(32)
    home.next_token_file.write_text(new)
    with closing(home.client()) as client:
        client.renew_token(new)
    expire(server, home)
    assert not works(home)
    look(home)
    assert home.token_file.read_text() == new
    assert works(home)


def test_where_no_token_is_good_both_stay_and_the_operator_can_extend(server: Server, home: Home) -> None:
    old, new = home.token_file.read_text(), secrets.token_urlsafe(32)
    home.next_token_file.write_text(new)
    expire(server, home)
    with pytest.raises(Unauthorized, match="starfish router extend"):
        look(home)
    assert (home.token_file.read_text(), home.next_token_file.read_text()) == (old, new)
    server.starfish("router", "extend", "--name", home.load().name)
    look(home)
    assert home.token_file.read_text() == new
    assert works(home)


def test_a_next_token_that_is_none_is_left_and_another_made(home: Home) -> None:
    home.next_token_file.write_text("damaged")
    look(home)
    assert not home.next_token_file.exists()
    look(home)
    assert works(home)


def test_others_of_the_same_home_go_on_over_a_renewal(home: Home) -> None:
    with closing(home.client()) as before:
        before.heartbeat(home.load().uid)
        look(home)
        assert before.site_by_uid(home.load().uid).name == home.load().name


def test_whoever_waits_with_a_token_that_was_replaced_is_told_so(home: Home) -> None:
    uid, refused = home.load().uid, []
    with closing(Client(home.load().router, token=home.token_file.read_text())) as client:
        known = client.active_runs(uid)
        assert known is not None

        def wait() -> None:
            try:
                client.active_runs(uid, known=known.etag, wait=25)
            except Unauthorized as error:
                refused.append(str(error))

        waiting = threading.Thread(target=wait)
        waiting.start()
        look(home)
        waiting.join(15)
        assert not waiting.is_alive()
    assert "replaced" in refused[0]


def test_a_daemon_renews_by_itself_and_nobody_notices(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARFISH_POLL_S", "0.05")
    old, stop = home.token_file.read_text(), threading.Event()
    daemon = threading.Thread(target=run, args=(home,), kwargs={"stop": stop})
    daemon.start()
    try:
        until(lambda: home.token_file.read_text() != old)
        until(lambda: not works(home, old))
    finally:
        stop.set()
        daemon.join()
    log = (home.path / "daemon.log").read_text()
    assert "token_renewed" in log
    assert "waiting" not in log
    assert home.token_file.read_text() not in log
    assert old not in log


def test_a_password_needs_none(home: Home) -> None:
    config = SiteConfig(router="http://127.0.0.1:9", uid="x", name="x", site_id=1, auth="basic", username="x")
    before = sorted(os.listdir(home.path))
    with closing(Client(config.router)) as client:
        TokenKeeper(home, config, client).look()
    assert sorted(os.listdir(home.path)) == before
