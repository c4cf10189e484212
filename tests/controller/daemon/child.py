"""A worker for the daemon's tests: adds nothing up, but every byte depends on all that it should depend on.

What it reads as data is a text file: a line `refuse` makes it refuse, `hang` hang in training, `die` die once in training,
`always die` every time, `proper` send a Starfish payload, `send garbage` send what the coordinator refuses, `no report` fail at the report.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

DONE = "done"


class Refused(Exception):
    def __init__(self, kind: str, public: str, private: str, site: str | None = None) -> None:
        super().__init__(public)
        self.error = {"kind": kind, "code": "code", "public": public, "private": private, "variable": "age", "site": site}


def write(path: Path, data: bytes) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".tmp").write_bytes(data)
    path.with_suffix(".tmp").rename(path)
    return {"path": str(path), "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "log": []}


def terms(work: Path, seq: int) -> str:
    return str(json.loads((work / "terms.json").read_text())["tasks"][seq - 1]["model"])


def all_terms(work: Path) -> list[dict[str, Any]]:
    return list(json.loads((work / "terms.json").read_text())["tasks"])


def sorted_marks(text: str, key: bytes) -> bytes:
    """A row is a letter; as in worker/marks.py, the same letter again is another."""
    told = [f"{letter} {text[:place].count(letter)}".encode() for place, letter in enumerate(text)]
    marks = [int.from_bytes(hashlib.blake2b(row, key=key, digest_size=8).digest(), "little") for row in told]
    return b"".join(mark.to_bytes(8, "little") for mark in sorted(marks))


def previous(work: Path, seq: int, turn: int) -> bytes:
    return b"" if turn == 1 else (work / f"models/{seq}-{turn - 1}.model").read_bytes()


def payload(data: bytes) -> bytes:
    """As starfish.tasks.payload writes it, without numpy, which takes a while to load."""
    data += bytes(-len(data) % 8)
    array = {"dtype": "I64", "shape": [len(data) // 8], "data_offsets": [0, len(data)]}
    header = json.dumps({"__metadata__": {"meta": "{}"}, "x": array}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return b"STARFISH-PAYL/1\n" + len(header).to_bytes(8, "little") + header + data


def prepare(work: Path, site: str, source: str, mapping: object, key: str = "", limits: object = None) -> dict[str, Any]:
    text = Path(source).read_text()
    if "refuse" in text:
        raise Refused("SiteRefusal", "'age' is no number in one row.", "'age' is no number in row 17: 'secret value'.")
    write(work / "flow.json", b"{}")
    write(work / "rows.marks", sorted_marks(text, bytes.fromhex(key)))
    tasks = [{"seq": seq, "used": len(text), "variables": ["text"]} for seq, _ in enumerate(all_terms(work), start=1)]
    return write(work / "rows.payload", text.encode()) | {"tasks": tasks}


def train(work: Path, site: str, task_seq: int, round_seq: int) -> dict[str, Any]:
    rows = (work / "rows.payload").read_text()
    marker = work / f"once-{task_seq}-{round_seq}"
    if "hang" in rows and not marker.exists():
        marker.touch()
        time.sleep(3600)
    if "always die" in rows or ("die" in rows and not marker.exists()):
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    size = 40_000 if "big" in rows else 1
    update = f"{site} {rows} {task_seq} {round_seq} ".encode() + hashlib.sha256(previous(work, task_seq, round_seq)).digest()
    if "proper" in rows:
        update, size = payload(update), 1
    return write(work / f"updates/{task_seq}-{round_seq}/{site}.update", update * size if "send garbage" not in rows else b"garbage")


def aggregate(work: Path, task_seq: int, round_seq: int, min_sites: int = 1) -> dict[str, Any]:
    digest = hashlib.sha256(previous(work, task_seq, round_seq))
    for file in sorted((work / f"updates/{task_seq}-{round_seq}").glob("*.update")):
        if file.read_bytes() == b"garbage":
            raise Refused("BadUpdate", "The update is not a Starfish payload.", "", site=file.stem)
        digest.update(file.read_bytes())
    model = terms(work, task_seq)
    done = model == DONE and round_seq == 2
    return write(work / f"models/{task_seq}-{round_seq}.model", digest.digest()) | {"done": done, "failure": None}


def report(work: Path, site: str, site_name: str, site_names: object) -> dict[str, Any]:
    if "no report" in (work / "rows.payload").read_text():
        raise Refused("TaskError", "There is no report.", "There is no report.")
    models = {file.stem: file.read_bytes().hex() for file in sorted((work / "models").glob("*.model"))}
    return write(work / "report.json", json.dumps({"models": models, "names": site_names}).encode())


CALLS = {"prepare": prepare, "train": train, "aggregate": aggregate, "report": report}

if __name__ == "__main__":
    with os.fdopen(int(os.environ["STARFISH_WORKER_FD"]), "w") as answers:
        for line in sys.stdin:
            request = json.loads(line)
            try:
                args = {**request["args"], "work": Path(request["args"]["work"])}
                answer = {"id": request["id"], "ok": CALLS[request["call"]](**args)}  # type: ignore[operator]
            except Refused as error:
                answer = {"id": request["id"], "error": error.error}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
