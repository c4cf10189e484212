"""Python imports this by itself where its folder is on PYTHONPATH: where the time of a process goes, without a profiler at hand.

Every two milliseconds a thread notes the stacks of the threads that do not wait. At the end they are in STARFISH_SAMPLES, a folder: a
file a process, a line a stack (`thread;outer;...;inner count`), the most frequent first. A sample is not CPU time to the letter: a thread
that waits for the interpreter's lock, or for the kernel inside a call, counts as busy.
"""

import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType

EVERY_S = 0.002
KEEP_S = 1.0
WAITING = {"wait", "_wait_for_tstate_lock", "select", "poll", "get", "sleep", "_worker", "accept", "_sample", "notifies"}
WAITING_IN = ("asyncio/runners.py:run:", "live/keeper.py:_work:", "_backends/sync.py:read:")
"""In C, so that the frame is the caller's."""


def _place(frame: FrameType) -> str:
    code = frame.f_code
    return f"{'/'.join(Path(code.co_filename).parts[-2:])}:{code.co_name}:{frame.f_lineno}"


def _stack(frame: FrameType | None) -> list[str]:
    places = []
    while frame is not None:
        places.append(_place(frame))
        frame = frame.f_back
    return places[::-1]


def _sample(to: Path) -> None:
    counted: Counter[str] = Counter()
    written = time.monotonic()
    own = threading.get_ident()
    while True:
        time.sleep(EVERY_S)
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for ident, frame in sys._current_frames().items():
            if ident != own and frame.f_code.co_name not in WAITING and not _place(frame).startswith(WAITING_IN):
                counted[";".join([names.get(ident, "?").split("_")[0], *_stack(frame)])] += 1
        if time.monotonic() - written > KEEP_S:
            written = time.monotonic()
            to.write_text("".join(f"{stack} {count}\n" for stack, count in counted.most_common()))


_folder = os.environ.get("STARFISH_SAMPLES")
if _folder:
    sys.setswitchinterval(0.0005)
    threading.Thread(target=_sample, args=(Path(_folder) / f"{os.getpid()}.stacks",), name="sampler", daemon=True).start()
