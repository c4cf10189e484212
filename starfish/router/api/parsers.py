"""Request bodies: strict JSON, bounded before it is read."""

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser, MultiPartParser

from starfish.protocol.problems import Invalid, TooLarge
from starfish.router.strict_json import BadJSON, acceptable, loads


class StrictJSONParser(BaseParser):
    """`application/json`, at most MAX_JSON_BYTES; an empty body counts as an empty object."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        data = stream.read(settings.MAX_JSON_BYTES + 1)
        if len(data) > settings.MAX_JSON_BYTES:
            raise TooLarge(f"A JSON body has at most {settings.MAX_JSON_BYTES} bytes; larger things are uploaded.")
        if not data.strip():
            return {}
        try:
            return loads(data)
        except BadJSON as error:
            raise Invalid(str(error)) from error


class BytesParser(BaseParser):
    """`application/octet-stream`, at most MAX_JSON_BYTES: what is sealed, and read by nobody here."""

    media_type = "application/octet-stream"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        data = stream.read(settings.MAX_JSON_BYTES + 1)
        if len(data) > settings.MAX_JSON_BYTES:
            raise TooLarge(f"At most {settings.MAX_JSON_BYTES} bytes are taken here (MAX_JSON_BYTES).")
        return data


class BoundedMultiPartParser(MultiPartParser):
    """An upload, at most MAX_UPLOAD_BYTES; Django keeps what is large on the disk."""

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        assert parser_context is not None
        length = parser_context["request"].META.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()) or int(length) > settings.MAX_UPLOAD_BYTES:
            raise TooLarge(f"An upload has at most {settings.MAX_UPLOAD_BYTES} bytes (MAX_UPLOAD_BYTES of the router).")
        parsed = super().parse(stream, media_type, parser_context)
        if not all(acceptable(value) for values in parsed.data.lists() for value in values[1]):
            raise Invalid("A field holds a character that is none")
        return parsed
