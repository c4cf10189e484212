"""How long old decryption keys stay."""

from datetime import timedelta
from pathlib import Path

from starfish.controller.config import Home, SiteConfig
from starfish.controller.daemon.oldkeys import OldKeys
from starfish.controller.trust.keyring import now

UID = "9d6a2f0e-5a4c-4c0e-9a57-3a8d8f0c1b2a"


def a_home(tmp_path: Path) -> Home:
    """With three generations of keys, all made today."""
    home = Home(tmp_path / "home")
    home.create(SiteConfig(router="http://127.0.0.1:1", uid=UID, name="A", site_id=1, auth="token", policy="standard"), "s" * 43)
    home.keys.make(UID, "A")
    home.keys.rotate()
    home.keys.rotate()
    return home


def test_what_was_replaced_long_ago_goes_and_the_present_key_never(tmp_path: Path) -> None:
    keys = a_home(tmp_path).keys
    assert keys.let_go(90) == []
    assert keys.let_go(90, at=now() + timedelta(days=89)) == []
    assert len(keys.identities()) == 3
    assert keys.let_go(90, at=now() + timedelta(days=91)) == [1, 2]
    assert len(keys.identities()) == 1
    assert keys.identities()[0].text == keys.current().identity.text
    assert keys.let_go(90, at=now() + timedelta(days=1000)) == []
    assert [card.version for card in keys.chain()] == [1, 2, 3], "cards stay: they vouch for each other"


def test_the_policy_says_how_long(tmp_path: Path) -> None:
    home = a_home(tmp_path)
    OldKeys(home).look()
    assert len(home.keys.identities()) == 3
    home.policy_file.write_text("preset: standard\nkeep_keys_days: some\n")
    OldKeys(home).look()
    assert len(home.keys.identities()) == 3, "a policy that can't be read deletes nothing"


def test_a_site_without_keys_has_none_to_delete(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.create(SiteConfig(router="http://127.0.0.1:1", uid=UID, name="A", site_id=1, auth="token", policy="standard"), "s" * 43)
    OldKeys(home).look()
    assert not home.keys.exists
