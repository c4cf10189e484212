"""What a site that trusts nobody blindly can say."""

from starfish.controller.errors import SiteError


class Untrusted(SiteError):
    """Something that came is not what its sender has signed, or of another time or place; nothing is computed on it. `code` is stable."""

    def __init__(self, sentence: str, *, code: str) -> None:
        super().__init__(sentence)
        self.code = code
