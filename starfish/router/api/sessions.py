"""The browsable API's sessions, as Django keeps them in the database."""

from django.contrib.sessions.backends import db


class SessionStore(db.SessionStore):
    """A cookie that cannot be a session's key is none: PostgreSQL fails on a NUL instead of finding nothing."""

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key if session_key and session_key.isascii() and session_key.isalnum() else None)
