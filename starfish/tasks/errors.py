"""Why a task cannot go on, and whose fault it is.

Every error has a public sentence, which may leave the site, and may have a private one, which names rows and values and
is shown to the site's own people only.
"""


class TaskError(Exception):
    """Something that a person can mend; `code` is stable, the sentences are for people."""

    def __init__(self, public: str, *, code: str, private: str | None = None, variable: str | None = None) -> None:
        super().__init__(public)
        self.public = public
        self.private = private or public
        self.code = code
        self.variable = variable


class InvalidTask(TaskError):
    """The project file is wrong: an unknown task, a wrong parameter, a formula that is none. Known before any data are read."""


class SiteRefusal(TaskError):
    """A site cannot take part with these data; `public` names the variable and the rule, `private` the row and the value."""


class BadUpdate(TaskError):
    """An update that does not count: wrong shape, not finite, of a foreign format. Names the site, to the coordinator only."""

    def __init__(self, public: str, *, site: str, code: str = "bad-update") -> None:
        super().__init__(public, code=code)
        self.site = site


class NoEstimate(TaskError):
    """The pooled data have no answer to the question: separation, collinearity, a constant column, an empty level.

    Raised inside `aggregate`; the task ends with this as its named, explained outcome, and the other tasks go on.
    """
