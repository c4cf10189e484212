"""Write the vectors: `python -m tests.vectors.generate`. Only what age seals differs from one time to the next."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from starfish.sealing import age, canonical
from starfish.sealing.envelope import MAGIC, SIGNED, Context
from starfish.sealing.fields import base64_text, time_text
from starfish.sealing.invitation import answer, request
from starfish.sealing.keys import Card, Identity, SigningKey, fingerprint, short_code
from starfish.sealing.manifest import Manifest
from starfish.sealing.statements import sign
from tests.vectors import people
from tests.vectors.people import CHAIN, COORDINATOR, GROUP, HOUR, INVITATION, MANIFEST, NORTH, NOW, ORDER, PROJECT, digest, nonce, signing

FOLDER = Path(__file__).parent
Case = dict[str, Any]
LOW_ORDER = "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq5cu47z"


def main() -> None:
    for name, cases in everything().items():
        (FOLDER / f"{name}.json").write_text(json.dumps(cases, indent=1) + "\n")


def everything() -> dict[str, list[Case]]:
    """By the name of the file. A case has `error`, the code of its refusal, or what comes out."""
    return {
        "cards": cards(),
        "chains": chains(),
        "invitations": invitations(),
        "requests": requests(),
        "answers": answers(),
        "letters": letters(),
        "orders": orders(),
        "envelopes": envelopes(),
    }


def cards() -> list[Case]:
    first, second = CHAIN
    text = first.text
    good = [{"name": f"version {card.version}", "card": card.text, "hash": card.hash, "fingerprint": fingerprint(card)} for card in CHAIN]
    bad: list[tuple[str, str, str]] = [
        ("no end of the last line", text[:-1], "form"),
        ("a blank line behind", text + "\n", "form"),
        ("carriage returns", text.replace("\n", "\r\n"), "form"),
        ("a mark of byte order", "\ufeff" + text, "form"),
        ("a blank in the JSON", text.replace(":1}", ": 1}"), "form"),
        ("a key twice", text.replace('"version":1}', '"version":1,"version":1}'), "form"),
        ("capitals in an escape", text.replace("\\u00fc", "\\u00FC"), "form"),
        ("no escape where one belongs", text.replace("\\u00fc", "ü"), "form"),
        ("version 2 of the form", text.replace("card/1", "card/2"), "form"),
        ("above the limit", text + "x" * 4096, "size"),
        ("no signature", "".join(text.splitlines(keepends=True)[:2]), "form"),
        ("a second signature in version 1", text + text.splitlines()[-1] + "\n", "form"),
        ("no second signature in version 2", "".join(second.text.splitlines(keepends=True)[:3]), "form"),
        ("an unknown key", people.card_text("coordinator", 1, more=1), "value"),
        ("a number for a text", people.card_text("coordinator", 1, name=1), "value"),
        ("true for a version", people.card_text("coordinator", 1, version=True), "value"),
        ("a uid in capitals", people.card_text("coordinator", 1, uid=first.uid.upper()), "value"),
        ("a recipient in capitals", people.card_text("coordinator", 1, recipient=first.recipient.upper()), "value"),
        ("a recipient of low order", people.card_text("coordinator", 1, recipient=LOW_ORDER), "value"),
        ("a blank after the name", people.card_text("coordinator", 1, name="North "), "value"),
        ("version 1 with a card before it", people.card_text("coordinator", 1, previous=digest("x")), "value"),
        ("a time with an offset", people.card_text("coordinator", 1, created="2026-11-24T16:05:00+00:00"), "value"),
        ("signed by another key", sign("card", people.card_body("coordinator", 1), NORTH.signing).text, "signature"),
        ("changed since", text.replace("Z\\u00fcrich", "Zurich"), "signature"),
    ]
    return good + [{"name": name, "card": card, "error": code} for name, card, code in bad]


def chains() -> list[Case]:
    first, second = (card.text for card in CHAIN)
    forged = sign("card", people.card_body("coordinator", 2), signing("coordinator 2"), NORTH.signing).text
    fork = people.card_text("coordinator", 2, created=time_text(NOW + HOUR))
    known: list[tuple[str, str | None, list[str], str]] = [
        ("from version 1", None, [first, second], "hash"),
        ("from the known card", first, [first, second], "hash"),
        ("right behind the known card", first, [second], "hash"),
        ("past the known card", second, [first, second], "hash"),
        ("nothing", first, [], "chain"),
        ("not from version 1", None, [second], "chain"),
        ("in the wrong order", None, [second, first], "chain"),
        ("of another site", first, [NORTH.card.text], "chain"),
        ("ends before the known card", second, [first], "rollback"),
        ("another card of the known version", second, [first, fork], "fork"),
        ("the second signature by another key", first, [first, forged], "signature"),
        ("the same, right behind the known card", first, [forged], "signature"),
    ]
    return [
        {"name": name, "known": card, "chain": chain, **({"hash": Card.parse(chain[-1]).hash} if end == "hash" else {"error": end})}
        for name, card, chain, end in known
    ]


def invitations() -> list[Case]:
    line = INVITATION.line()
    prefix, payload, check = line.split(".")
    bad = [
        ("a slip", line.replace(payload[40], "A" if payload[40] != "A" else "B", 1), "check"),
        ("other check digits", f"{prefix}.{payload}.00000000", "check"),
        ("padding", f"{prefix}.{payload}==.{check}", "form"),
        ("blanks", f" {line} ", "form"),
        ("version 2", line.replace("-1.", "-2."), "form"),
        ("cut", line[:-1], "form"),
        ("an unknown key", _line(more=1), "value"),
        ("version 2 inside", _line(v=2), "value"),
        ("a short secret", _line(secret="00"), "value"),
        ("no address", _line(router="rs.example.org"), "value"),
        ("too long", line + "A" * 4096, "size"),
    ]
    fields = {**INVITATION.public(), "secret": INVITATION.secret}
    return [{"name": "whole", "line": line, "invitation": fields}] + [
        {"name": name, "line": text, "error": code} for name, text, code in bad
    ]


def requests() -> list[Case]:
    text = request(INVITATION, COORDINATOR.card, NORTH.card)
    body = json.loads(text)
    guess = request(replace(INVITATION, secret="0" * 32), COORDINATOR.card, NORTH.card)
    other = people.card_text("north", 1, uid=nonce("x")[:8] + NORTH.card.uid[8:])
    bad: list[tuple[str, str, Card, datetime, str]] = [
        ("made with another secret", guess, COORDINATOR.card, NOW, "mac"),
        ("with another card of the same name", canonical.dumps(body | {"card": other}, "It"), COORDINATOR.card, NOW, "mac"),
        ("by another site", canonical.dumps(body | {"card": CHAIN[0].text}, "It"), COORDINATOR.card, NOW, "not-invited"),
        ("after the coordinator's rotation", text, CHAIN[0], NOW, "not-invited"),
        ("too late", text, COORDINATOR.card, NOW + HOUR, "expired"),
        ("with a key more", canonical.dumps(body | {"more": 1}, "It"), COORDINATOR.card, NOW, "value"),
        ("with a blank", text.replace(":", ": ", 1), COORDINATOR.card, NOW, "form"),
    ]
    good = {"name": "whole", "request": text, "coordinator": COORDINATOR.card.text, "now": time_text(NOW), "hash": NORTH.card.hash}
    return [{"line": INVITATION.line(), **good}] + [
        {"line": INVITATION.line(), "name": name, "request": made, "coordinator": card.text, "now": time_text(now), "error": code}
        for name, made, card, now, code in bad
    ]


def answers() -> list[Case]:
    yes = answer(INVITATION, COORDINATOR.card, NORTH.card, True)
    no = answer(INVITATION, COORDINATOR.card, NORTH.card, False)
    mac = json.loads(request(INVITATION, COORDINATOR.card, NORTH.card))["mac"]
    told = {"line": INVITATION.line(), "coordinator": COORDINATOR.card.text, "own": NORTH.card.text}
    return [
        {"name": "approved", **told, "answer": yes, "approved": True},
        {"name": "refused", **told, "answer": no, "approved": False},
        {"name": "approved without a MAC", **told, "answer": '{"approved":true}', "error": "value"},
        {"name": "refused with a MAC", **told, "answer": yes.replace("true", "false"), "error": "value"},
        {"name": "the request's MAC", **told, "answer": canonical.dumps({"approved": True, "mac": mac}, "It"), "error": "mac"},
        {"name": "for another card", **told, "own": CHAIN[0].text, "answer": yes, "error": "mac"},
        {"name": "of another coordinator", **told, "coordinator": CHAIN[0].text, "answer": yes, "error": "not-invited"},
    ]


def letters() -> list[Case]:
    manifest, view = people.manifest_text, people.view_text
    second = Manifest.parse(manifest(version=2, previous=MANIFEST.hash))
    third = Manifest.parse(manifest(version=3, previous=second.hash))
    twin = Manifest.parse(manifest(created=time_text(NOW + HOUR)))
    later = manifest(version=3, previous=digest("x"))
    third_view = view(version=3, manifest=Manifest.parse(later).hash)
    none: dict[str, Any] = {}
    known: list[tuple[str, str, dict[str, Any], str]] = [
        ("the first", MANIFEST.text + view(), none, "hash"),
        ("the same again", MANIFEST.text + view(), {"highest": MANIFEST.text}, "hash"),
        ("the second", second.text + view(version=2, manifest=second.hash), {"highest": MANIFEST.text}, "hash"),
        ("the third, the second was missed", third.text + view(version=3, manifest=third.hash), {"highest": MANIFEST.text}, "hash"),
        ("from the pinned card", MANIFEST.text + view(), {"pinned": COORDINATOR.card.text}, "hash"),
        ("a lower version than the kept one", MANIFEST.text + view(), {"highest": second.text}, "rollback"),
        ("another manifest of the kept version", MANIFEST.text + view(), {"highest": twin.text}, "fork"),
        ("does not follow from the kept one", later + third_view, {"highest": second.text}, "gap"),
        ("for other keys", MANIFEST.text + view(), {"identities": ["coordinator 1"]}, "decryption"),
        ("for another card", MANIFEST.text + view(card=CHAIN[0].text), none, "other-card"),
        ("another salt", MANIFEST.text + view(salt=nonce("x")), none, "not-member"),
        ("another project", MANIFEST.text + view(), {"project": nonce("x")}, "other-project"),
        ("the view of another project", MANIFEST.text + view(project=nonce("x")), none, "other-project"),
        ("the view of another manifest", MANIFEST.text + view(manifest=digest("x")), none, "other-manifest"),
        ("the identity of another group", MANIFEST.text + view(identity=NORTH.identity.text), none, "other-group"),
        ("the manifest signed by the old key", manifest(signing("coordinator 1")) + view(), none, "signature"),
        ("the view signed by the old key", MANIFEST.text + view(signing("coordinator 1")), none, "signature"),
        ("the manifest names another card", manifest(coordinator=CHAIN[0].hash) + view(), none, "signature"),
        ("the chain of another site", MANIFEST.text + view(), {"pinned": NORTH.card.text}, "chain"),
        ("a chain that ends too early", MANIFEST.text + view(chain=[CHAIN[0].text]), {"pinned": COORDINATOR.card.text}, "rollback"),
        ("the view first", view() + MANIFEST.text, none, "form"),
        ("something behind", MANIFEST.text + view() + "\n", none, "form"),
        ("63 commitments", manifest(members=list(MANIFEST.members[1:])) + view(), none, "value"),
        ("promises", manifest(promises={"quorum": 2}) + view(), none, "value"),
        ("a gap in the tasks", manifest(tasks=[{**MANIFEST.tasks[0], "seq": 2}]) + view(), none, "value"),
        ("version 1 with a manifest before it", manifest(previous=digest("x")) + view(), none, "value"),
    ]
    usual = {"identities": ["north 1"], "own": NORTH.card.text, "pinned": CHAIN[0].text, "project": PROJECT, "highest": None}
    return [_letter(name, plain, {**usual, **changes}, end) for name, plain, changes, end in known]


def orders() -> list[Case]:
    text, order = people.order_text(), ORDER
    none: dict[str, Any] = {}
    known: list[tuple[str, str, dict[str, Any], str]] = [
        ("the first", text, none, "hash"),
        ("the very same again, late", text, {"kept": {"batch": 1, "hash": order.hash}, "now": time_text(NOW + 2 * HOUR)}, "hash"),
        ("of a kept number", text, {"kept": {"batch": 1, "hash": digest("x")}}, "fork"),
        ("below a kept number", text, {"kept": {"batch": 2, "hash": digest("x")}}, "rollback"),
        ("expired", text, {"now": time_text(NOW + HOUR)}, "expired"),
        ("of another batch", text, {"batch": 2}, "other-batch"),
        ("under another manifest", people.order_text(manifest=digest("x")), none, "other-manifest"),
        ("of another project", people.order_text(project=nonce("x")), none, "other-project"),
        ("signed by a participant", people.order_text(NORTH.signing), none, "signature"),
        ("of a coordinator that the manifest does not name", text, {"coordinator": CHAIN[0].text}, "signature"),
        ("for another group", text, {"identity": "north 1"}, "decryption"),
        ("expires when it begins", people.order_text(expires=time_text(NOW)), none, "value"),
        ("batch 0", people.order_text(batch=0), none, "value"),
        ("with a key more", people.order_text(more=1), none, "value"),
    ]
    usual = {
        "identity": "group 1",
        "coordinator": COORDINATOR.card.text,
        "manifest": MANIFEST.text,
        "batch": 1,
        "now": time_text(NOW),
        "kept": None,
    }
    return [_order(name, plain, {**usual, **changes}, end) for name, plain, changes, end in known]


def envelopes() -> list[Case]:
    update = Context(project=PROJECT, manifest=MANIFEST.hash, batch=ORDER.hash, task=1, round=2, kind="update", sender=NORTH.card.hash)
    update = replace(update, base=digest("model"))
    commits = tuple(sorted(digest(f"update {number}") for number in range(64)))
    model = replace(update, kind="model", sender=COORDINATOR.card.hash, commits=commits)
    lines = replace(update, kind="lines", base=None, number=7)
    whole, line = _sealed(update), update.line()
    body = whole[len(MAGIC) : -64]
    none: dict[str, Any] = {}
    known: list[tuple[str, bytes, Context, dict[str, Any], str]] = [
        ("an update", whole, update, none, "content"),
        ("an empty one", _sealed(update, content=b""), update, none, "content"),
        ("64 KiB and a byte", _sealed(update, content=bytes(65537)), update, none, "content"),
        ("a global model", _sealed(model), model, {"commit": commits[5]}, "content"),
        ("log lines", _sealed(lines), lines, none, "content"),
        ("of another project", _sealed(replace(update, project=nonce("x"))), update, none, "other-project"),
        ("under another manifest", _sealed(replace(update, manifest=digest("x"))), update, none, "other-manifest"),
        ("of another batch", _sealed(replace(update, batch=digest("x"))), update, none, "other-batch"),
        ("of another task", _sealed(replace(update, task=2)), update, none, "other-task"),
        ("of another round", _sealed(replace(update, round=1)), update, none, "other-round"),
        ("of another kind", _sealed(replace(lines, kind="failure", number=0)), lines, none, "other-kind"),
        ("of another sender", _sealed(replace(update, sender=COORDINATOR.card.hash)), update, none, "other-sender"),
        ("from another model", _sealed(replace(update, base=digest("x"))), update, none, "other-base"),
        ("out of order", _sealed(lines), lines, {"number": 8}, "other-number"),
        ("an old attempt", whole, update, {"attempt": 2}, "old-attempt"),
        ("a model without the own update", _sealed(model), model, {"commit": digest("x")}, "left-out"),
        ("signed by another", _signed(body, line, COORDINATOR.signing), update, none, "signature"),
        ("signed for another context", _signed(body, lines.line(), NORTH.signing), update, none, "signature"),
        ("the signature of another", whole[:-64] + _sealed(update)[-64:], update, none, "signature"),
        ("cut in the signature", whole[:-1], update, none, "decryption"),
        ("cut in the age file", whole[:-100], update, none, "decryption"),
        ("something behind", whole + b"\0", update, none, "decryption"),
        ("a bit flipped", whole[:-80] + bytes([whole[-80] ^ 1]) + whole[-79:], update, none, "decryption"),
        ("another version", whole.replace(b"/1", b"/2", 1), update, none, "form"),
        ("no age file", MAGIC + bytes(200), update, none, "form"),
        ("a header without end", MAGIC + b"age-encryption.org/v1\n-> X25519 A\n" + b"A" * 9000, update, none, "form"),
        ("no context", _plain(b"content"), update, none, "form"),
        ("a context with a blank", _plain(line.replace(b":", b": ", 1)), update, none, "form"),
        (
            "a context with a key more",
            _plain(canonical.dumps(json.loads(line) | {"more": 1}, "It").encode() + b"\n"),
            update,
            none,
            "value",
        ),
        ("an update with commits", _plain(_line_of(update, commits=list(commits))), update, none, "value"),
        ("log lines without a number", _plain(_line_of(lines, number=0)), lines, none, "value"),
    ]
    return [_envelope(name, data, context, changes, end) for name, data, context, changes, end in known]


def _line(**changes: Any) -> str:
    """An invitation whose values need not be any, with right check digits."""
    text = canonical.dumps({**INVITATION.public(), "secret": INVITATION.secret, **changes}, "It")
    payload = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    return f"starfish-invitation-1.{payload}.{hashlib.sha256(payload.encode()).hexdigest()[:8]}"


def _identities(labels: Sequence[str]) -> list[str]:
    """In Base64, so that whoever looks for secrets that were left lying does not find these."""
    return [base64_text(people.identity(label).text.encode()) for label in labels]


def _letter(name: str, plain: str, inputs: dict[str, Any], end: str) -> Case:
    manifest = Manifest.parse("".join(plain.splitlines(keepends=True)[:3])) if end == "hash" else MANIFEST
    letter = base64_text(age.seal_to(plain.encode(), [NORTH.card.recipient]))
    good = {"hash": manifest.hash, "short_code": short_code(manifest.hash), "coordinator": COORDINATOR.card.hash, "group": GROUP.recipient}
    inputs = {**inputs, "identities": _identities(inputs["identities"])}
    return {"name": name, "letter": letter, **inputs, **(good if end == "hash" else {"error": end})}


def _order(name: str, plain: str, inputs: dict[str, Any], end: str) -> Case:
    sealed = base64_text(age.seal_to(plain.encode(), [GROUP.recipient]))
    inputs = {**inputs, "identity": _identities([inputs["identity"]])[0]}
    return {"name": name, "order": sealed, **inputs, **({"hash": ORDER.hash} if end == "hash" else {"error": end})}


def _envelope(name: str, data: bytes, context: Context, changes: dict[str, Any], end: str) -> Case:
    keys = ("project", "manifest", "batch", "task", "round", "kind", "base")
    sender = NORTH if context.sender == NORTH.card.hash else COORDINATOR
    numbered = {"number": context.number} if context.number else {}
    expected = {key: getattr(context, key) for key in keys} | {"sender": sender.card.text} | numbered | changes
    identities = _identities(["group 1" if context.kind == "model" else "coordinator 2"])
    case = {"name": name, "envelope": base64_text(data), "identities": identities, "expected": expected}
    if end != "content":
        return {**case, "error": end}
    return {
        **case,
        "sha256": hashlib.sha256(data).hexdigest(),
        "context": context.line().decode(),
        "content": base64_text(_content(data, context)),
    }


def _content(data: bytes, context: Context) -> bytes:
    identity: Identity = GROUP if context.kind == "model" else COORDINATOR.identity
    return age.open_with(data[len(MAGIC) : -64], [identity], "It", 1 << 20)[len(context.line()) :]


def _line_of(context: Context, **changes: Any) -> bytes:
    """A context whose values need not be any."""
    body = {**asdict(context), "commits": list(context.commits), **changes}
    return canonical.dumps(body, "It").encode() + b"\n"


def _sealed(context: Context, content: bytes = b"content\n") -> bytes:
    return _plain(context.line() + content, context)


def _plain(plain: bytes, context: Context | None = None) -> bytes:
    """An envelope of any plaintext, signed for its first line: by the coordinator, if it is for the group."""
    group = context is not None and context.kind == "model"
    recipients = [GROUP.recipient] if group else [COORDINATOR.card.recipient, NORTH.card.recipient]
    key = COORDINATOR.signing if group else NORTH.signing
    return _signed(age.seal_to(plain, recipients), plain.split(b"\n")[0] + b"\n", key)


def _signed(body: bytes, line: bytes, key: SigningKey) -> bytes:
    digests = hashlib.sha256(MAGIC + body).digest() + hashlib.sha256(line).digest()
    return MAGIC + body + key.sign(SIGNED + digests)


if __name__ == "__main__":
    main()
