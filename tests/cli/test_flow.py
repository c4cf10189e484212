"""The commands as people type them, in real processes: what stdout, stderr and the exit status are, from enrolment to the report."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.federation import STARFISH, Federation, federation, until
from tests.support.servers import Databases, serving

pytestmark = pytest.mark.timeout(300)  # four processes start, each a second on a quiet machine
PROJECT = """
name: flow
description: Who is ill
variables:
  age: {type: number, unit: years}
  sex: {type: category, levels: [female, male]}
  ill: {type: binary, role: outcome}
tasks:
  - model: LogisticRegressionStats
    config: {formula: "ill ~ age + sex"}
  - model: SummaryStatistics
"""


def rows(seed: int) -> str:
    """Of every combination some, so that the estimate exists."""
    cells = [(30 + (i * 7 + seed) % 40, ("female", "male")[i % 2], (i * i + seed) % 3 % 2) for i in range(80)]
    return "age,sex,ill\n" + "".join(f"{age},{sex},{ill}\n" for age, sex, ill in cells)


@pytest.fixture(scope="module")
def study(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """A coordinator without data and two participants, up; one batch that has succeeded."""
    folder = tmp_path_factory.mktemp("flow")
    with serving("serve", folder / "server", databases) as server, federation(server, folder) as made:
        for seed, name in enumerate(["Office", "North", "South"]):
            (folder / f"{name}.csv").write_text(rows(seed))
            made.add(name, folder / f"{name}.csv")
        (folder / "flow.yaml").write_text(PROJECT)
        made.coordinator.run("project", "create", str(folder / "flow.yaml"), "--no-data")
        for name in ("North", "South"):
            made.members[name].run("project", "join", "flow", "--dataset", "patients")
        made.coordinator.run("run", "start", "flow", "--wait")
        yield made


def printed(done: subprocess.CompletedProcess[str]) -> Any:
    """stdout, which is one JSON value and nothing else."""
    return json.loads(done.stdout)


def test_waiting_shows_progress_on_stderr_and_the_report_on_stdout(study: Federation) -> None:
    done = study.coordinator.run("run", "watch", "flow")
    assert "Batch 1 has ended: 3 Success." in done.stderr
    assert "sex[male]" in done.stdout
    assert "Success" not in done.stdout
    report = printed(study.coordinator.run("run", "watch", "flow", "--json"))
    assert report == printed(study.coordinator.run("run", "report", "flow", "--json"))


def test_a_coordinator_without_data_is_no_site_of_the_report(study: Federation) -> None:
    report = study.coordinator.json("run", "report", "flow")
    assert [site["site"] for site in report["sites"]] == ["North", "South"]
    own = study.members["North"].json("run", "report", "flow")
    assert [site["site"] for site in own["sites"]] == ["North"]
    assert own["tasks"][0]["estimates"] == report["tasks"][0]["estimates"]


@pytest.mark.parametrize(
    "words",
    [
        ["site", "status"],
        ["dataset", "list"],
        ["dataset", "show", "patients"],
        ["dataset", "map", "patients", "flow"],
        ["dataset", "check", "patients", "flow"],
        ["project", "list"],
        ["project", "show", "flow"],
        ["run", "show", "flow"],
        ["run", "logs", "flow"],
        ["run", "report", "flow", "--batch", "1"],
        ["task", "list"],
        ["task", "show", "LinearRegression"],
    ],
    ids=" ".join,
)
def test_every_result_is_json_alone_or_reads_without_escapes(study: Federation, words: list[str]) -> None:
    north = study.members["North"]
    assert printed(north.run(*words, "--json")) not in ({}, None)
    text = north.run(*words).stdout
    assert text.strip()
    assert "\x1b" not in text
    assert "South" not in text, "a participant sees no other participant"


def test_logs_are_told_once_by_site(study: Federation) -> None:
    logs = study.coordinator.json("run", "logs", "flow")
    texts = {log["site"]: log["text"] for log in logs["sites"]}
    assert texts.keys() == {"Office", "North", "South"}
    assert texts["North"].count("task 1 (LogisticRegressionStats), round 1: sent") == 1
    assert [log["site"] for log in study.members["South"].json("run", "logs", "flow")["sites"]] == ["South"]


def test_a_download_holds_report_tables_models_and_logs(study: Federation, tmp_path: Path) -> None:
    files = study.coordinator.json("run", "download", "flow", "--to", str(tmp_path / "out"))
    names = {Path(file).name for file in files}
    assert {"report.json", "sites.csv", "task1-LogisticRegressionStats-estimates.csv"} <= names
    assert {"task1-LogisticRegressionStats.model", "task2-SummaryStatistics.model"} <= names
    assert {"log-Office.txt", "log-North.txt", "log-South.txt"} <= names
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == study.coordinator.json("run", "report", "flow")
    again = study.coordinator.run("run", "download", "flow", "--to", str(tmp_path / "out"), ok=False)
    assert (again.returncode, again.stdout) == (1, "")


@pytest.mark.parametrize(
    ("who", "words", "message"),
    [
        ("North", ["run", "start", "flow"], "Only the coordinator of 'flow' can start a batch."),
        ("North", ["run", "stop", "flow"], "Only the coordinator of 'flow' can stop a batch."),
        ("North", ["run", "show", "flow", "--batch", "9"], "'flow' has no batch 9; the last one is 1."),
        ("North", ["run", "show", "folw"], "No project 'folw' is known"),
        ("North", ["site", "up", "--no-portal"], "This site is up already"),
        ("North", ["project", "create", "nothing.yaml", "--no-data"], "nothing.yaml: there is no such file."),
        ("North", ["dataset", "add", "patients", "tests/__init__.py"], "tests/__init__.py"),
        ("North", ["dataset", "check", "patient", "flow"], "No dataset is called 'patient' here. There are these datasets: patients."),
        ("North", ["dataset", "map", "patients", "flow", "--column", "agee=age"], "Did you mean 'age'?"),
        ("North", ["task", "show", "LinearRegresion"], "Did you mean LinearRegression?"),
        ("Office", ["run", "restart", "flow"], "Batch 1 of 'flow' has succeeded; 'starfish run start flow' opens the next one."),
        ("Office", ["run", "stop", "flow"], "Batch 1 of 'flow' has ended already; there is nothing to stop."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_fails_says_why_on_stderr_with_status_1(study: Federation, who: str, words: list[str], message: str) -> None:
    done = study.members[who].run(*words, ok=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()[-1]) < 400


def test_a_traceback_is_shown_where_it_was_asked_for(study: Federation) -> None:
    for words in (["--debug", "run", "show", "nothing"], ["run", "show", "nothing", "--debug"]):
        environment = {**os.environ, "STARFISH_HOME": str(study.coordinator.home)}
        done = subprocess.run([STARFISH, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "Traceback" in done.stderr


def test_a_site_that_fails_is_named_and_the_batch_goes_on_after_the_mending(study: Federation) -> None:
    source = study.folder / "South.csv"
    good = source.read_text()
    source.write_text(good.replace("\n30,", "\nsecret-value,", 1).replace("\n31,", "\nsecret-value,", 1))
    started = study.coordinator.run("run", "start", "flow", "--wait", "--json", ok=False)
    assert started.returncode == 1
    state = printed(started)
    assert (state["batch"], state["ended"], state["succeeded"]) == (2, True, False)
    assert "South: age: " in started.stderr
    assert "'starfish run restart flow'" in started.stderr
    assert "secret-value" not in started.stderr + started.stdout
    assert "secret-value" in study.members["South"].run("run", "logs", "flow").stdout
    refused = study.coordinator.run("run", "report", "flow", ok=False)
    assert (refused.returncode, "failed, so there is no report" in refused.stderr) == (1, True)
    source.write_text(good)
    study.coordinator.run("run", "restart", "flow")
    study.coordinator.run("run", "watch", "flow")
    first, mended = (study.coordinator.json("run", "report", "flow", "--batch", batch) for batch in "12")
    assert mended["tasks"][0]["estimates"] == first["tasks"][0]["estimates"]


def test_interrupting_a_watch_leaves_the_batch_alone(study: Federation) -> None:
    south = study.members["South"]
    south.kill_daemon()  # it can't say goodbye, so that the batch may start, and waits
    environment = {**os.environ, "STARFISH_HOME": str(study.coordinator.home)}
    watching = subprocess.Popen(
        [STARFISH, "run", "start", "flow", "--wait"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert watching.stderr is not None
        said = ""
        while "Round 1 of task 1" not in said:
            line = watching.stderr.readline()
            assert line, f"it ended by itself: {said}"
            said += line
        watching.send_signal(signal.SIGINT)
        _, rest = watching.communicate(timeout=20)
    finally:
        watching.kill()
        watching.communicate()
    assert watching.returncode == 130
    assert "The batch goes on" in rest
    assert not study.status("flow")["ended"]
    restarted = study.coordinator.run("run", "restart", "flow", ok=False)
    assert (restarted.returncode, "no site has failed; there is nothing to restart" in restarted.stderr) == (1, True)
    study.coordinator.run("run", "stop", "flow")
    south.up()
    until(lambda: study.status("flow")["ended"], "the end of the stopped batch")
