"""Envelopes: what was sealed comes out, for the place that it was sealed for, or nothing does."""

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starfish.sealing import age, canonical
from starfish.sealing.context import LONGEST
from starfish.sealing.envelope import (
    MAGIC,
    SIGNED,
    Context,
    Expectation,
    open_bytes,
    open_envelope,
    open_file,
    padded_commits,
    seal,
    seal_bytes,
)
from starfish.sealing.keys import SigningKey, rotated
from tests.sealing.study import NOW, flips, refused, site, some, study

WORLD = study()
NORTH, SOUTH, COORDINATOR = WORLD.north, WORLD.south, WORLD.coordinator
UPDATE = WORLD.update()
OPENERS = [COORDINATOR.identity]
EDGES = [0, 1, 63, 64, 65, 8191, 8192, 65535, 65536, 65537, 131071, 131072, 131073, 200_000]


def sealed(content: bytes = b"content", context: Context = UPDATE) -> bytes:
    """By the site whose card is the context's sender."""
    keys = NORTH if context.sender == NORTH.card.hash else COORDINATOR
    return seal_bytes(content, context, [WORLD.manifest.group] if context.kind == "model" else WORLD.recipients, keys.signing)


def hand_made(plain: bytes, key: SigningKey = NORTH.signing, line: bytes | None = None, body: bytes | None = None) -> bytes:
    """Signed as the specification says, whatever the plaintext is."""
    unsigned = MAGIC + (age.seal_to(plain, WORLD.recipients) if body is None else body)
    line = plain.split(b"\n")[0] + b"\n" if line is None else line
    return unsigned + key.sign(SIGNED + hashlib.sha256(unsigned).digest() + hashlib.sha256(line).digest())


def opened(data: bytes, context: Context = UPDATE, **changes: Any) -> bytes:
    identities = [WORLD.group] if context.kind == "model" else OPENERS
    result, content = open_bytes(data, identities, WORLD.expected(context, **changes))
    assert (result.size, result.sha256) == (len(content), hashlib.sha256(data).hexdigest())
    return content


class Trickle:
    """A network that gives `sizes` bytes at a time, again and again."""

    def __init__(self, data: bytes, sizes: Sequence[int]) -> None:
        self.stream, self.sizes, self.turn = io.BytesIO(data), sizes, 0

    def read(self, size: int) -> bytes:
        self.turn += 1
        return self.stream.read(min(size, self.sizes[self.turn % len(self.sizes)]))


@settings(max_examples=60)
@given(st.sampled_from(EDGES) | st.integers(0, 300_000), st.lists(st.sampled_from([1, 7, 63, 64, 65, 4096, 65536]), min_size=1, max_size=3))
def test_what_was_sealed_comes_out_however_the_bytes_arrive(size: int, pieces: list[int]) -> None:
    content = os.urandom(size)
    sizes = [piece if size < 10_000 else max(piece, 4096) for piece in pieces]
    target, plain = io.BytesIO(), io.BytesIO()
    written = seal(Trickle(content, sizes), target, UPDATE, WORLD.recipients, NORTH.signing)
    data = target.getvalue()
    assert (written.size, written.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    result = open_envelope(Trickle(data, sizes), plain, OPENERS, WORLD.expected(UPDATE))
    assert plain.getvalue() == content
    assert (result.context, result.size, result.sha256) == (UPDATE, size, written.sha256)


@pytest.mark.parametrize("context", [UPDATE, WORLD.model("cd" * 32), WORLD.lines(3), replace(WORLD.lines(1), kind="progress")])
def test_every_kind(context: Context) -> None:
    assert opened(sealed(b"x", context), context) == b"x"


def test_the_sender_reads_its_own_and_another_participant_does_not() -> None:
    data = sealed()
    assert open_bytes(data, [NORTH.identity], WORLD.expected(UPDATE))[1] == b"content"
    refused(lambda: open_bytes(data, [SOUTH.identity], WORLD.expected(UPDATE)), "decryption")
    refused(lambda: open_bytes(data, [WORLD.group], WORLD.expected(UPDATE)), "decryption")
    refused(lambda: open_bytes(data, [], WORLD.expected(UPDATE)), "decryption")
    assert open_bytes(data, [WORLD.group, SOUTH.identity, COORDINATOR.identity], WORLD.expected(UPDATE))


def test_recipients_are_as_many_as_the_kind_says() -> None:
    group = [WORLD.manifest.group]
    for context, recipients in ((UPDATE, group), (UPDATE, [*WORLD.recipients, *group]), (WORLD.model(), WORLD.recipients), (UPDATE, [])):
        refused(lambda context=context, to=recipients: seal_bytes(b"", context, to, NORTH.signing), "recipients")
    own = [COORDINATOR.card.recipient] * 2
    context = replace(UPDATE, sender=COORDINATOR.card.hash)
    assert seal_bytes(b"", context, own, COORDINATOR.signing).count(b"-> X25519 ") == sealed().count(b"-> X25519 ") == 2


def test_no_bit_can_be_flipped() -> None:
    data = sealed(b"")
    for spoiled in flips(data):
        refused(lambda spoiled=spoiled: opened(spoiled), "form", "decryption", "signature")


def test_no_bit_can_be_flipped_in_a_larger_one() -> None:
    data = sealed(os.urandom(140_000))
    for spoiled in flips(data, some(data, 8 * 3001, all_before=40)):
        refused(lambda spoiled=spoiled: opened(spoiled), "form", "decryption", "signature")


def test_nothing_can_be_cut_or_added() -> None:
    data = sealed(b"0123456789")
    for end in range(len(data)):
        refused(lambda end=end: opened(data[:end]), "form", "decryption", "signature")
    for more in (b"\0", b"\n", data, bytes(70_000)):
        refused(lambda more=more: opened(data + more), "form", "decryption", "signature")
    large = sealed(os.urandom(3 << 16))
    for end in (65536, 65536 + 400, len(large) - 65, len(large) - 64, len(large) - 1):
        refused(lambda end=end: opened(large[:end]), "decryption", "signature")


def test_a_cut_envelope_yields_its_beginning_and_is_refused_all_the_same() -> None:
    data, target = sealed(os.urandom(3 << 16)), io.BytesIO()
    refused(lambda: open_envelope(io.BytesIO(data[: 2 << 16]), target, OPENERS, WORLD.expected(UPDATE)), "decryption")
    assert target.getvalue(), "which is why it goes into a temporary file"


SWAPPED: list[tuple[str, Any, str]] = [
    ("project", "f" * 32, "other-project"),
    ("manifest", "f" * 64, "other-manifest"),
    ("batch", "f" * 64, "other-batch"),
    ("task", 2, "other-task"),
    ("round", 1, "other-round"),
    ("round", 3, "other-round"),
    ("base", "f" * 64, "other-base"),
    ("base", None, "other-base"),
    ("sender", SOUTH.card.hash, "other-sender"),
    ("kind", "model", "other-kind"),
]


@pytest.mark.parametrize(("key", "value", "code"), SWAPPED, ids=range(len(SWAPPED)))
def test_another_place_is_refused_by_name_before_anything_is_written(key: str, value: Any, code: str) -> None:
    """Signed by the awaited sender, as its envelopes for other places are."""
    context = replace(UPDATE, **{key: value}, **({"commits": padded_commits([])} if value == "model" else {}))
    data = hand_made(context.line() + b"content")
    target = io.BytesIO()
    error = refused(lambda: open_envelope(io.BytesIO(data), target, OPENERS, WORLD.expected(UPDATE)), code)
    assert str(error).startswith("The update of task 1, round 2, by 'Site 2' is refused: ")
    assert not target.getvalue()


def test_what_a_reader_cannot_know_it_does_not_compare() -> None:
    assert opened(sealed(), base=...) == b"content"
    first = replace(UPDATE, base=None)
    assert opened(sealed(context=first), first) == b"content"
    refused(lambda: opened(sealed(), base=None), "other-base")


def test_numbers_follow_and_attempts_do_not_fall() -> None:
    lines = WORLD.lines(3)
    data = sealed(context=lines)
    refused(lambda: opened(data, lines, number=2), "other-number")
    refused(lambda: opened(data, lines, number=4), "other-number")
    assert opened(data, lines, number=None)
    again = replace(UPDATE, attempt=2)
    assert opened(sealed(context=again), attempt=2)
    assert opened(sealed(context=again), attempt=1)
    refused(lambda: opened(sealed(), attempt=2), "old-attempt")


def test_a_global_model_names_the_updates_in_it() -> None:
    digest = hashlib.sha256(sealed()).hexdigest()
    model = WORLD.model(digest, "ef" * 32)
    assert opened(sealed(context=model), model, commit=digest)
    refused(lambda: opened(sealed(context=model), model, commit="00" * 32), "left-out")
    assert len(WORLD.model(*(f"{number:064x}" for number in range(65))).commits) == 512


def test_a_stripped_ciphertext_cannot_be_signed_by_another() -> None:
    """What `north` has sealed, `south` takes out and signs: as its own, or for what it is."""
    data = sealed()
    line, body = UPDATE.line(), data[len(MAGIC) : -64]
    stolen = hand_made(b"", SOUTH.signing, line=line, body=body)
    refused(lambda: opened(stolen, sender=SOUTH.card), "other-sender")
    refused(lambda: opened(stolen), "signature")
    relabelled = hand_made(b"", SOUTH.signing, line=replace(UPDATE, sender=SOUTH.card.hash).line(), body=body)
    refused(lambda: opened(relabelled, sender=SOUTH.card), "other-sender")


def test_the_signature_is_of_this_ciphertext_and_this_context() -> None:
    one, other = sealed(b"one"), sealed(b"two")
    refused(lambda: opened(one[:-64] + other[-64:]), "signature")
    refused(lambda: opened(one[:-64] + bytes(64)), "signature")
    body = age.seal_to(UPDATE.line() + b"x", WORLD.recipients)
    refused(lambda: opened(hand_made(b"", line=WORLD.lines(1).line(), body=body)), "signature")
    assert opened(hand_made(b"", line=UPDATE.line(), body=body)) == b"x"
    unsigned = MAGIC + body
    bare = NORTH.signing.sign(hashlib.sha256(unsigned).digest() + hashlib.sha256(UPDATE.line()).digest())
    refused(lambda: opened(unsigned + bare), "signature")


def test_after_a_rotation_the_old_key_signs_no_more() -> None:
    newer = rotated(NORTH, created=NOW)
    refused(lambda: opened(sealed(), sender=newer.card), "other-sender")
    context = replace(UPDATE, sender=newer.card.hash)
    refused(lambda: opened(hand_made(context.line()), sender=newer.card), "signature")
    assert opened(hand_made(context.line(), newer.signing), sender=newer.card) == b""


def spoiled(line: bytes, **changes: Any) -> bytes:
    body = {**canonical.loads(line[:-1].decode(), "It"), **changes}
    return canonical.dumps({key: body[key] for key in body if body[key] is not ...}, "It").encode() + b"\n"


LINE = UPDATE.line()
STRANGE = [
    b"",
    b"\n",
    LINE[:-1],
    LINE.replace(b"\n", b"\r\n"),
    b"\xef\xbb\xbf" + LINE,
    b"\0" + LINE,
    b" " + LINE,
    LINE.replace(b":1", b": 1", 1),
    LINE.replace(b'"update"', b'"\xff"'),
    b"[]\n",
    b"[" * 200_000 + b"\n",
    LINE.replace(b'"round":2', b'"round":' + b"9" * 5000),
    spoiled(LINE, more=1),
    spoiled(LINE, base=...),
    spoiled(LINE, kind=...),
    spoiled(LINE, kind="gossip"),
    spoiled(LINE, kind=["update"]),
    spoiled(LINE, kind="model"),
    spoiled(LINE, kind="failure"),
    spoiled(LINE, kind="lines", base=None),
    spoiled(LINE, number=1),
    spoiled(LINE, commits=list(padded_commits([]))),
    spoiled(LINE, commits=None),
    spoiled(LINE, kind="model", commits=list(padded_commits([]))[::-1]),
    spoiled(LINE, attempt=0),
    spoiled(LINE, attempt=True),
    spoiled(LINE, round=-1),
    spoiled(LINE, round="2"),
    spoiled(LINE, task=1.0),
    spoiled(LINE, sender="x"),
    spoiled(LINE, project=NORTH.card.hash),
]


@pytest.mark.parametrize("line", STRANGE, ids=range(len(STRANGE)))
def test_contexts_that_are_none(line: bytes) -> None:
    if line.count(b"\n") == 1:
        refused(lambda: Context.parse(line), "form", "value")
    refused(lambda: opened(hand_made(line, line=line)), "form", "value")


@pytest.mark.parametrize(
    "changes", [{"number": 1}, {"attempt": 0}, {"base": "x"}, {"kind": "model"}, {"commits": ("ab" * 32,)}, {"kind": "lines"}]
)
def test_contexts_that_are_none_are_not_sealed(changes: dict[str, Any]) -> None:
    refused(lambda: sealed(context=replace(UPDATE, **changes)), "value")


def test_a_context_has_a_limit_which_holds_before_it_is_kept() -> None:
    for plain in (b"{" * (LONGEST + 1), b"{" * LONGEST + b"\n", b"x" * (4 << 20)):
        refused(lambda plain=plain: opened(hand_made(plain)), "size")
        refused(lambda plain=plain: Context.parse(plain), "size")
    refused(lambda: opened(hand_made(b"{" * (LONGEST - 1) + b"\n")), "form")
    largest = WORLD.model(*(f"{number:064x}" for number in range(4096)))
    assert len(largest.line()) < LONGEST
    assert opened(sealed(context=largest), largest) == b"content"


@pytest.mark.parametrize("data", [b"", MAGIC, b"x" * 100, MAGIC + bytes(64), sealed()[1:], sealed().replace(b"/1", b"/2", 1)], ids=range(6))
def test_what_is_no_envelope(data: bytes) -> None:
    refused(lambda: opened(data), "form")


def test_a_long_header_is_refused_before_it_is_parsed() -> None:
    """Parsing costs the square of its length: the Routing Server could keep a site busy for hours."""
    header = b"age-encryption.org/v1\n-> X25519 A\n" + (b"A" * 64 + b"\n") * 200_000
    assert "header" in str(refused(lambda: opened(MAGIC + header), "form"))


def test_a_recipient_of_low_order_in_a_header_opens_nothing() -> None:
    stanza = f"-> X25519 {'A' * 43}\n{'A' * 43}\n--- {'A' * 43}\n".encode()
    refused(lambda: opened(MAGIC + b"age-encryption.org/v1\n" + stanza + bytes(200)), "decryption")


class Broken(Exception):
    """Of a stream."""


class Breaking:
    """A stream that breaks after `size` bytes."""

    def __init__(self, data: bytes, size: int, error: BaseException) -> None:
        self.stream, self.left, self.error = io.BytesIO(data), size, error

    def read(self, size: int) -> bytes:
        if not self.left:
            raise self.error
        part = self.stream.read(min(size, self.left))
        self.left -= len(part)
        return part

    def write(self, data: bytes) -> None:
        raise self.error


@pytest.mark.parametrize("error", [Broken("the network"), OSError(28, "No space left"), KeyboardInterrupt()], ids=["own", "system", "user"])
def test_an_error_of_a_stream_stays_what_it_is(error: BaseException) -> None:
    content = os.urandom(200_000)
    data = sealed(content)
    acts = [
        lambda size: seal(Breaking(content, size, error), io.BytesIO(), UPDATE, WORLD.recipients, NORTH.signing),
        lambda size: open_envelope(Breaking(data, size, error), io.BytesIO(), OPENERS, WORLD.expected(UPDATE)),
        lambda size: seal(content[:size], Breaking(b"", 0, error), UPDATE, WORLD.recipients, NORTH.signing),
        lambda size: open_envelope(io.BytesIO(data), Breaking(b"", 0, error), OPENERS, WORLD.expected(UPDATE)),
    ]
    for act in acts:
        for size in (0, 1, 100_000):
            with pytest.raises(type(error)) as caught:
                act(size)
            assert caught.value is error


def test_a_file_is_there_when_all_is_verified_and_else_nothing_is(tmp_path: Path) -> None:
    source, to = tmp_path / "envelope", tmp_path / "content"
    source.write_bytes(sealed(b"x" * 100_000))
    expected = WORLD.expected(UPDATE)
    assert open_file(source, to, OPENERS, expected).size == 100_000
    assert to.read_bytes() == b"x" * 100_000
    assert to.stat().st_mode & 0o777 == 0o600
    assert open_file(io.BytesIO(sealed(b"y")), to, OPENERS, expected).size == 1
    for data in (sealed(b"z" * 200_000)[:-1], sealed(b"z" * 200_000)[: 2 << 16], b""):
        source.write_bytes(data)
        refused(lambda: open_file(source, to, OPENERS, expected), "signature", "decryption", "form")
        assert to.read_bytes() == b"y", "the old one stays"
    to.unlink()
    refused(lambda: open_file(source, to, OPENERS, expected))
    assert [path.name for path in tmp_path.iterdir()] == ["envelope"]
    with pytest.raises(FileNotFoundError):
        open_file(tmp_path / "none", to, OPENERS, expected)


@settings(max_examples=40)
@given(st.data())
def test_envelopes_cannot_be_mixed(data: st.DataObject) -> None:
    """Of all that two sites seal in two rounds of two batches, each opens at its own place alone."""
    places = [
        replace(UPDATE, round=one, batch=order, attempt=attempt, sender=sender.card.hash, kind=kind, base=None)
        for one in (1, 2)
        for order in ("a" * 64, "b" * 64)
        for attempt in (1, 2)
        for sender in (NORTH, COORDINATOR)
        for kind in ("update", "failure")
    ]
    sent, read = data.draw(st.sampled_from(places)), data.draw(st.sampled_from(places))
    keys = NORTH if sent.sender == NORTH.card.hash else COORDINATOR
    envelope = seal_bytes(b"x", sent, WORLD.recipients, keys.signing)
    fits = replace(sent, attempt=1) == replace(read, attempt=1) and sent.attempt >= read.attempt
    expected = WORLD.expected(read, attempt=read.attempt)
    if fits:
        assert open_bytes(envelope, OPENERS, expected)[1] == b"x"
    else:
        assert refused(lambda: open_bytes(envelope, OPENERS, expected)).code.startswith(("other-", "old-"))


def test_errors_show_no_content_and_no_key() -> None:
    secret = "canary-4711"
    for line in (spoiled(LINE, more=secret), LINE + secret.encode()):
        error = refused(lambda line=line: opened(hand_made(line + secret.encode()), WORLD.lines(1)))
        assert secret not in str(error)
        assert "AGE-SECRET" not in str(error)


def test_expectation_names_a_sender_by_its_card() -> None:
    expected = Expectation(project="0" * 32, manifest="0" * 64, batch="0" * 64, task=1, round=1, kind="update", sender=site(4).card)
    refused(lambda: open_bytes(sealed(), OPENERS, expected), "other-project")
