"""What a policy holds back, in words."""

from starfish.controller.errors import SiteError


class Withheld(SiteError):
    """The site's policy forbids it. `public` may leave, `private` tells the site's people more; `rule` is the policy's name for it."""

    def __init__(self, public: str, *, rule: str, private: str | None = None) -> None:
        super().__init__(private or public)
        self.public = public
        self.private = private or public
        self.rule = rule
