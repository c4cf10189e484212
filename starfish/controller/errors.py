"""What can go wrong at a site, each with a sentence for the person who reads it."""


class SiteError(Exception):
    """Something that the site's own people can mend; the text is one or two sentences that say how."""


class HomeError(SiteError):
    """The home folder is missing, damaged, unsafe or of another version."""


class FileError(SiteError):
    """A project file or a mapping file is not what it should be; the text names the file and the line."""


class UnknownName(SiteError):
    """No dataset, project, batch or file of this name."""


class NotNow(SiteError):
    """Right, but not in the present state: the daemon is not running, no batch has been started, a name is taken."""


class NotAllowed(SiteError):
    """What this site may not do: a participant stopping a batch, plain http to another machine."""


class DataProblem(SiteError):
    """A dataset does not fit a project's variables. The text may name rows and values: it is for the site's own people."""
