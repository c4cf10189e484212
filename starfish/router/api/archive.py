"""Stored files as a zip, in constant memory, under WSGI and ASGI."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import StreamingHttpResponse
from rest_framework.request import Request
from zipstream import ZIP_STORED, ZipStream  # type: ignore[import-untyped]

from starfish.protocol.problems import NotFound
from starfish.router import storage, wire
from starfish.router.models import Artifact


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of the zip."""

    artifact_id: int
    key: str
    name: str

    @classmethod
    def of(cls, it: Artifact, *, reader: int) -> "Member":
        """A global model bears the id of the run that reads it."""
        owner = reader if it.kind == Artifact.Kind.MODEL else it.run_id
        return cls(artifact_id=it.pk, key=it.key, name=wire.member_name(owner, it.task_seq, it.round_seq, it.name))

    def open(self) -> BinaryIO:
        """Where it was replaced meanwhile, what replaced it. Raises FileNotFoundError."""
        try:
            return storage.open_file(self.key)
        except FileNotFoundError:
            return storage.open_file(Artifact.objects.values_list("key", flat=True).get(pk=self.artifact_id))

    def chunks(self) -> Iterator[bytes]:
        """Opened when its turn comes."""
        yield from storage.chunks(self.open())


def zipped(request: Request, filename: str, members: list[Member]) -> StreamingHttpResponse:
    """Stored, not compressed: payloads are numbers or ciphertext. Raises NotFound: a zip that breaks off says nothing of why."""
    stream = ZipStream(compress_type=ZIP_STORED)
    for member in members:
        try:
            member.open().close()
        except FileNotFoundError:
            raise NotFound(f"The router has lost {member.name}: its files were not restored with its database.") from None
        stream.add(member.chunks(), member.name)
    content: Any = _in_threads(iter(stream)) if isinstance(request._request, ASGIRequest) else iter(stream)
    headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
    return StreamingHttpResponse(content, content_type="application/zip", headers=headers)


async def _in_threads(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Django would read a plain iterator whole before it sent the first byte."""
    following = sync_to_async(lambda: next(chunks, None), thread_sensitive=True)
    while (chunk := await following()) is not None:
        yield chunk
