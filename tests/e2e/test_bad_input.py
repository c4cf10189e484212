"""Bad input, as people meet it: a sentence that says what is wrong and what to do, an exit status, and no harm."""

import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.e2e.federation import STARFISH, federation, until
from tests.support.servers import Server

PROJECT = """
name: bad-input
variables:
  age: {type: number, min: 0}
  sex: {type: category, levels: [female, male]}
  ill: {type: binary, role: outcome}
tasks:
  - model: LogisticRegressionStats
    config: {formula: "ill ~ age + sex"}
"""
GOOD = "age,sex,ill\n" + "".join(f"{30 + i % 40},{['female', 'male'][i % 3 % 2]},{(i * 7 % 5) % 2}\n" for i in range(60))


def simulate(folder: Path, project: str, data: str | bytes) -> subprocess.CompletedProcess[str]:
    """`starfish simulate` with one good site and one that has `data`."""
    (folder / "project.yaml").write_text(project)
    (folder / "good.csv").write_text(GOOD)
    (folder / "bad.csv").write_bytes(data if isinstance(data, bytes) else data.encode())
    command = [STARFISH, "simulate", "project.yaml", "--site", "Good=good.csv", "--site", "Bad=bad.csv", "--json"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)


DATA: Mapping[str, tuple[str | bytes, str]] = {
    "a missing column": (GOOD.replace("sex", "gender"), "sex"),
    "a text in a number": (GOOD.replace("\n31,", "\nyoung,", 1), "young"),
    "an unknown level": (GOOD.replace(",male,", ",mael,", 1), "mael"),
    "an empty file": ("", "empty"),
    "no rows": ("age,sex,ill\n", "no rows"),
    "an outcome of 0 to 4": (GOOD.replace("\n30,female,0", "\n30,female,4").replace("\n33,female,1", "\n33,female,3"), "ill"),
    "an outcome of 0 and 2": ("age,sex,ill\n" + "".join(f"{40 + i},male,{i % 2 * 2}\n" for i in range(20)), "ill"),
    "below its minimum": (GOOD.replace("\n30,", "\n-30,", 1), "-30"),
    "garbage": (bytes(range(256)) * 40, "bad.csv"),
    "a ragged row": (GOOD.replace("\n31,male,0", "\n31,male", 1) + "1,2\n", "row"),
    "the same header twice": (GOOD.replace("sex,ill", "age,ill", 1), "age"),
    "a number beyond all measure": (GOOD.replace("\n30,", "\n1e160,", 1), "age: a value is too large"),
    "infinity": (GOOD.replace("\n30,", "\ninf,", 1), "inf"),
}


@pytest.mark.parametrize(("data", "says"), DATA.values(), ids=DATA)
def test_data_that_do_not_fit_are_refused_by_name(tmp_path: Path, data: str | bytes, says: str) -> None:
    done = simulate(tmp_path, PROJECT, data)
    refused(done)
    assert says in done.stderr
    assert "Bad" in done.stderr


PROJECTS: Mapping[str, tuple[str, str]] = {
    "an unknown task": (PROJECT.replace("RegressionStats", "RegresionStats"), "Did you mean LogisticRegressionStats"),
    "a wrong parameter": (PROJECT.replace('formula: "', 'alpha: 7, formula: "'), "alpha"),
    "an unknown parameter": (PROJECT.replace("formula:", "formla:"), "Did you mean 'formula'"),
    "a formula that runs code": (PROJECT.replace("age + sex", "__import__('os').system('touch owned')"), "formula"),
    "a formula with an attribute": (PROJECT.replace("age + sex", "age.__class__"), "formula"),
    "an unknown variable": (PROJECT.replace("age + sex", "age + sx"), "sx"),
    "no tasks": (PROJECT.split("tasks:")[0], "tasks"),
    "a text": ("just a text", "project"),
    "tabs": ("name: x\n\tvariables: 3", "line 2"),
    "a name twice": (PROJECT.replace("  ill:", "  age: {type: number}\n  ill:"), "age"),
    "an outcome that is no binary": (PROJECT.replace("ill ~ age", "age ~ ill"), "binary"),
}


@pytest.mark.parametrize(("project", "says"), PROJECTS.values(), ids=PROJECTS)
def test_a_project_that_is_none_is_refused_by_its_place(tmp_path: Path, project: str, says: str) -> None:
    done = simulate(tmp_path, project, GOOD)
    refused(done)
    assert says in done.stderr
    assert not list(tmp_path.rglob("owned"))


def test_a_constant_column_and_separation_are_named_outcomes(tmp_path: Path) -> None:
    constant = "age,sex,ill\n" + "".join(f"50,{['female', 'male'][i % 2]},{i % 3 % 2}\n" for i in range(40))
    separated = "age,sex,ill\n" + "".join(f"{i},{['female', 'male'][i % 2]},{int(i > 20)}\n" for i in range(40))
    for data, code in ((constant, "constant"), (separated, "separation")):
        (tmp_path / "project.yaml").write_text(PROJECT)
        (tmp_path / "one.csv").write_text(data)
        command = [STARFISH, "simulate", "project.yaml", "--site", "A=one.csv", "--site", "B=one.csv", "--json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert f'"code": "{code}"' in done.stdout
        assert "age" in done.stdout
        assert "Traceback" not in done.stderr


def refused(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1, done.stderr + done.stdout
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ") or "\nError: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_what_leaves_a_site_names_variable_and_rule_but_neither_row_nor_value(serve: Callable[..., Server], tmp_path: Path) -> None:
    """And a mended site goes on after `run restart`, a batch that is active is not opened twice, a site that is off is named."""
    (tmp_path / "project.yaml").write_text(PROJECT)
    (tmp_path / "good.csv").write_text(GOOD)
    bad = tmp_path / "bad.csv"
    bad.write_text(GOOD.replace("\n31,", "\nsecret-value,", 1))
    with federation(serve("serve", SITE_TIMEOUT_S="60"), tmp_path) as made:
        good, other = made.add("Good", tmp_path / "good.csv"), made.add("Bad", bad)
        good.run("project", "create", str(tmp_path / "project.yaml"), "--dataset", "patients")
        joined = other.run("project", "join", "bad-input", "--dataset", "patients", ok=False)
        assert "secret-value" in joined.stdout + joined.stderr
        started = good.run("run", "start", "bad-input", "--wait", ok=False)
        assert started.returncode == 1
        assert "age" in started.stderr + started.stdout
        told = "\n".join(text for command in ("show", "logs") for text in (good.run("run", command, "bad-input").stdout,))
        assert "secret-value" not in told + started.stderr + started.stdout
        assert "secret-value" in other.run("run", "logs", "bad-input").stdout
        held = b"".join(file.read_bytes() for file in (tmp_path / "server-0").rglob("*") if file.is_file())
        assert b"secret-value" not in held
        bad.write_text(GOOD)
        good.run("run", "restart", "bad-input")
        until(lambda: made.status("bad-input")["ended"], "the end of the mended batch")
        assert good.json("run", "report", "bad-input")["tasks"][0]["converged"]
        assert other.daemon is not None
        other.daemon.send_signal(signal.SIGSTOP)  # else the batch may have ended before the next command has begun
        again = good.run("run", "start", "bad-input")
        twice = good.run("run", "start", "bad-input", ok=False)
        other.daemon.send_signal(signal.SIGCONT)
        assert (again.returncode, twice.returncode) == (0, 1)
        assert "still active" in twice.stderr
        until(lambda: made.status("bad-input")["ended"], "the end of the second batch")
        other.down()
        off = good.run("run", "start", "bad-input", ok=False)
        assert off.returncode == 1
        assert "Bad" in off.stderr
