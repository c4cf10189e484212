"""Files that arrive as streams, in one piece or in several; nothing is visible before all of it is there and as it was announced."""

from dataclasses import dataclass
from functools import partial

from django.conf import settings
from django.db import transaction

from starfish.protocol.problems import Conflict, Invalid, Problem, TooLarge
from starfish.router import storage
from starfish.router.access import Caller
from starfish.router.actions import artifacts
from starfish.router.actions.moves import Locked, lock
from starfish.router.actions.sealed import ENVELOPE, refuse_open_bytes, refuse_open_piece
from starfish.router.models import Artifact, Upload
from starfish.router.storage import Busy, Growing, Stored


@dataclass(frozen=True, kw_only=True)
class Announced:
    """A file and a part of it, as a request's head has it. `start`: the part's offset; None to begin anew."""

    kind: Artifact.Kind
    task_seq: int
    round_seq: int
    name: str
    attempt: int
    size: int
    sha256: str
    start: int | None
    length: int

    @property
    def is_last(self) -> bool:
        """Whether the file is whole once this part has arrived."""
        return (self.start or 0) + self.length == self.size


@dataclass(frozen=True, kw_only=True)
class Receiving:
    """A part that may arrive now. `file` is locked: close it, whatever happens. `sealed`: its project is."""

    upload_id: int
    announced: Announced
    file: Growing
    sealed: bool

    def write(self, piece: bytes) -> None:
        """What has arrived. Raises Invalid, before it is written, where it had to be sealed and is not."""
        if self.sealed and self.file.size < len(ENVELOPE):
            refuse_open_piece(self.file.size, piece)
        self.file.write(piece)


def begin(caller: Caller, run_id: int, announced: Announced) -> Receiving | Artifact:
    """All that can be refused before a byte is read; the stored file where these very bytes are there.

    Raises NotFound, Forbidden, Invalid, Conflict, TooLarge; a Conflict that is about the offset has an `upload_offset`.
    """
    if announced.size > settings.MAX_UPLOAD_BYTES:
        raise TooLarge(f"This router takes at most {settings.MAX_UPLOAD_BYTES} bytes here (MAX_UPLOAD_BYTES).")
    opened: list[Growing] = []
    try:
        with transaction.atomic():
            it = lock(caller, run_id)
            artifacts.check(it.run, announced.kind, announced.name)
            if it.batch.sealed and announced.size < len(ENVELOPE):
                refuse_open_bytes(b"")
            known = artifacts.known_as(it, announced.kind, announced.task_seq, announced.round_seq, announced.name)
            if known and known.sha256 == announced.sha256:
                return known
            artifacts.refuse_late(it, announced.kind, announced.task_seq, announced.round_seq)
            if known:
                artifacts.refuse_other_bytes(known, announced.attempt)
            return _open(it, announced, opened)
    except BaseException:
        for file in opened:
            file.close()
        raise


def _open(it: Locked, announced: Announced, opened: list[Growing]) -> Receiving:
    begun = Upload.objects.filter(
        run=it.run, kind=announced.kind, task_seq=announced.task_seq, round_seq=announced.round_seq, name=announced.name
    ).first()
    if begun and announced.start is not None:
        if (begun.size, begun.sha256, begun.attempt) != (announced.size, announced.sha256, announced.attempt):
            raise Conflict(
                f"What has begun to arrive is attempt {begun.attempt}, {begun.size} bytes, SHA-256 {begun.sha256}; "
                "a part of another file does not go on from there. A PUT without Content-Range begins anew."
            )
        file = _locked(begun.key, opened)
        _expect_offset(announced.start, file.size)
        return Receiving(upload_id=begun.pk, announced=announced, file=file, sealed=it.batch.sealed)
    _expect_offset(announced.start or 0, 0)
    if begun:
        _locked(begun.key, opened)
        begun.delete()
        transaction.on_commit(partial(_throw_away, opened.pop()))
    file = _locked(storage.new_key(), opened)
    made = Upload.objects.create(
        run=it.run,
        kind=announced.kind,
        task_seq=announced.task_seq,
        round_seq=announced.round_seq,
        name=announced.name,
        attempt=announced.attempt,
        size=announced.size,
        sha256=announced.sha256,
        key=file.key,
    )
    return Receiving(upload_id=made.pk, announced=announced, file=file, sealed=it.batch.sealed)


def _locked(key: str, opened: list[Growing]) -> Growing:
    try:
        opened.append(Growing(key))
    except Busy:
        raise Conflict("This file is arriving by another request at this moment; try again when that has ended.", busy=True) from None
    return opened[-1]


def _expect_offset(start: int, offset: int) -> None:
    if start != offset:
        raise Conflict(f"The part begins at byte {start}, and {offset} bytes have arrived: go on from there.", upload_offset=offset)


def _throw_away(file: Growing) -> None:
    storage.delete([file.key])
    file.close()


def complete(caller: Caller, run_id: int, receiving: Receiving, stored: Stored) -> Artifact:
    """The row, once all bytes are on the disk and are those that were announced; else they are gone.

    Raises Invalid for other bytes; NotFound, Forbidden, Conflict where the run has moved on meanwhile.
    """
    told = receiving.announced
    if (stored.size, stored.sha256) != (told.size, told.sha256):
        discard(receiving)
        raise Invalid(
            f"What arrived has {stored.size} bytes and SHA-256 {stored.sha256}, and {told.size} bytes and SHA-256 {told.sha256} were "
            "announced (Content-Length, Repr-Digest). Nothing of it is kept; send it again.",
            announced=told.sha256,
            arrived=stored.sha256,
        )
    try:
        with transaction.atomic():
            it = lock(caller, run_id)
            ended, _ = Upload.objects.filter(pk=receiving.upload_id).delete()
            if not ended:
                raise it.conflict("This upload was given up meanwhile; send the file again.")
            saved = artifacts.Saved(kind=told.kind, name=told.name, stored=stored)
            return artifacts.keep(it, saved, told.task_seq, told.round_seq, told.attempt)
    except Problem:
        discard(receiving)
        raise


def discard(receiving: Receiving) -> None:
    """Row and bytes."""
    Upload.objects.filter(pk=receiving.upload_id).delete()
    storage.delete([receiving.file.key])


def offset(upload: Upload) -> int:
    """How much has arrived, and is safe."""
    return storage.safe_size(upload.key)
