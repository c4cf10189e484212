"""What is wrong with a source before its values are looked at."""


class DataError(Exception):
    """A file that can't be read as a table, or a mapping that is none. `public` may leave the site; `private` names file and line."""

    def __init__(self, public: str, *, private: str | None = None, code: str = "data") -> None:
        super().__init__(private or public)
        self.public = public
        self.private = private or public
        self.code = code
