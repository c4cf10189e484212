"""Tries how a worker is shut in: shuts this process in, then attempts what must fail and what must not. For `isolation.level`."""

import json
import socket
import sys
from dataclasses import asdict, replace
from pathlib import Path

from starfish.controller.worker.isolation import Isolation, confine


def main(work: Path) -> Isolation:
    """What was promised, less what could be done all the same. Raises OSError where a worker could not work."""
    outside = work.with_name("outside")
    found = confine(work)
    (work / "own").write_text("")
    if found.filesystem and _readable(outside):
        found = replace(found, filesystem=False, reasons=(*found.reasons, "A file outside a worker's folder could be read all the same."))
    if found.network and _connectable():
        found = replace(found, network=False, reasons=(*found.reasons, "A socket could be made all the same."))
    return found


def _readable(path: Path) -> bool:
    try:
        return bool(path.read_text())
    except PermissionError:
        return False


def _connectable() -> bool:
    try:
        socket.socket().close()
    except PermissionError:
        return False
    return True


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(main(Path(sys.argv[1])))))
