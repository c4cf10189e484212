"""What a worker may read beside its own folder: the system's libraries, Python, and the packages that it can import."""

import importlib.machinery
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from starfish.controller.worker.isolation_landlock import READ, READ_DIR, READ_FILE, RUN, WRITE, WRITE_FILE

Rule = tuple[Path, int]

LIBRARIES = ("/bin", "/lib", "/lib32", "/lib64", "/nix/store", "/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib")
FACTS = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/usr/share/locale",
    "/usr/share/zoneinfo",
)
DEVICES = ("/dev/full", "/dev/random", "/dev/urandom", "/dev/zero")
OF_PYTHON = ("bin", "lib", "lib64", "pyvenv.cfg")
GROUP = "starfish.tasks"
MODULES = (".py", ".pyc", ".so", ".dist-info", ".egg-info", ".zip")


def rules(work: Path, reads: tuple[Path, ...]) -> tuple[list[Rule], list[Path]]:
    """What may be reached, and of what a worker needs that which was left out because the site's home lies inside."""
    home = work.parent
    wanted = [(path.resolve(), rights) for path, rights in _needed(home)]
    own = [(work, WRITE), (Path("/dev/null"), READ_FILE | WRITE_FILE), *((path, READ_FILE) for path in reads)]
    return own + [rule for rule in wanted if not _holds(rule[0], home)], [path for path, _ in wanted if _holds(path, home)]


def _needed(home: Path) -> Iterator[Rule]:
    yield from ((Path(path), RUN) for path in LIBRARIES)
    yield from ((Path(path), READ) for path in FACTS + DEVICES)
    python = [Path(prefix, part) for prefix in dict.fromkeys((sys.prefix, sys.base_prefix)) for part in OF_PYTHON]
    yield from ((path, RUN) for path in python)
    covered = {path.resolve() for path in (*map(Path, LIBRARIES), *python)}
    for entry in (Path(entry).resolve() for entry in filter(None, sys.path)):
        if covered.isdisjoint((entry, *entry.parents)):
            yield from _packages(entry, home)


def _packages(entry: Path, home: Path) -> Iterator[Rule]:
    """Of a folder from which Python imports and that is none of its own, such as a checkout: the packages alone."""
    if entry.is_file():
        yield entry, READ
        return
    if _holds(entry, home):  # it is listed now, for it can't be once this process is shut in
        importlib.machinery.PathFinder.find_spec("no such module")
        importlib.metadata.entry_points(group=GROUP)
    else:
        yield entry, READ_DIR
    for child in os.scandir(entry) if entry.is_dir() else ():
        if child.name.endswith(MODULES) or os.path.exists(os.path.join(child.path, "__init__.py")):
            yield Path(child.path), RUN


def _holds(path: Path, home: Path) -> bool:
    return path == home or path in home.parents
