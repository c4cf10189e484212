"""Other people's software opens what we seal, with the identity file that a site keeps."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from starfish.sealing.envelope import seal_bytes
from tests.sealing.study import study

WORLD = study()

pytestmark = pytest.mark.skipif(
    shutil.which("age") is None and os.environ.get("CI") != "true", reason="the program age is not installed (apt-get install age)"
)


@pytest.mark.parametrize("size", [0, 1, 65_536, 300_000])
def test_the_line_of_the_specification_opens_an_envelope(size: int, tmp_path: Path) -> None:
    content, context = os.urandom(size), WORLD.update()
    (tmp_path / "FILE").write_bytes(seal_bytes(content, context, WORLD.recipients, WORLD.north.signing))
    (tmp_path / "identity-1.txt").write_text(WORLD.north.identity.text + "\n")
    line = "tail -c +21 FILE | head -c -64 | age -d -i identity-1.txt"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == context.line() + content


def test_it_opens_a_letter(tmp_path: Path) -> None:
    (tmp_path / "identity").write_text(WORLD.north.identity.text + "\n")
    letter = WORLD.letters[WORLD.north.card.hash]
    done = subprocess.run(["age", "-d", "-i", tmp_path / "identity"], input=letter, capture_output=True, check=True)
    assert done.stdout.decode().startswith(WORLD.manifest.text)
