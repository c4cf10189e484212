"""What a person or a notebook can do at a site, against a real Routing Server; no daemon runs."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from starfish.controller.api import Site
from starfish.controller.api.mappings import MappingChange
from starfish.controller.api.runs import log_file
from starfish.controller.api.site import checked_router
from starfish.controller.errors import DataProblem, FileError, HomeError, NotAllowed, NotNow, UnknownName
from starfish.sdk import Forbidden, Problem, RouterUnreachable
from tests.support.servers import Databases, Server, free_port, serving

PROJECT = """
name: {name}
variables:
  age: {{type: number, min: 0}}
  sex: {{type: category, levels: [female, male]}}
  ill: {{type: binary, role: outcome}}
tasks:
  - model: LogisticRegressionStats
    config: {{formula: "ill ~ age + sex"}}
"""
GOOD = "age,sex,ill\n" + "".join(f"{30 + i % 40},{['female', 'male'][i % 2]},{i % 3 % 2}\n" for i in range(30))
OTHER = GOOD.replace("age,", "AGE_Y,").replace("female", "w").replace(",male", ",m")


@pytest.fixture(scope="module")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving("serve", tmp_path_factory.mktemp("server"), databases) as made:
        yield made


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Of a project that no other test uses."""
    return str(request.node.name).replace("[", "-").replace("]", "")[-90:]


@pytest.fixture(scope="module")
def codes(server: Server) -> Iterator[str]:
    """One-time codes, each for a site of its own; made at once, because a process takes a second."""
    script = (
        "import json; from datetime import timedelta; from starfish.router.actions.enrolment import make_code; "
        "print(json.dumps([make_code(f'Site {number}', valid=timedelta(hours=1)) for number in range(50)]))"
    )
    return iter(json.loads(server.manage("shell", "-c", script).splitlines()[-1]))


@pytest.fixture
def a(server: Server, tmp_path: Path, codes: Iterator[str]) -> Iterator[Site]:
    with made(server, tmp_path / "a", next(codes), GOOD) as site:
        yield site


@pytest.fixture
def b(server: Server, tmp_path: Path, codes: Iterator[str]) -> Iterator[Site]:
    with made(server, tmp_path / "b", next(codes), OTHER) as site:
        yield site


def made(server: Server, home: Path, code: str, data: str) -> Site:
    site = Site.enrol(home, router=server.url, code=code, policy="open")
    source = home.with_suffix(".csv")
    source.write_text(data)
    site.datasets.add("patients", source)
    return site


@pytest.fixture
def file(tmp_path: Path, name: str) -> Path:
    path = tmp_path / "study.yaml"
    path.write_text(PROJECT.format(name=name))
    return path


def test_enrolment_makes_a_private_home_and_a_known_site(a: Site) -> None:
    status = a.status()
    assert (status.name, status.reachable, status.connected, status.daemon) == (a.config.name, True, True, False)
    assert status.datasets == ["patients"]
    assert stat.S_IMODE(a.home.path.stat().st_mode) == 0o700
    assert len(a.home.token_file.read_text()) >= 32


def test_a_lost_answer_is_asked_for_again(server: Server, tmp_path: Path, codes: Iterator[str]) -> None:
    code = next(codes)
    first = Site.enrol(tmp_path / "a", router=server.url, code=code, policy="open").home
    config, token = first.load(), first.token_file.read_text()
    raw = json.loads(first.site_file.read_text())
    first.site_file.write_text(json.dumps(raw | {"site_id": None, "name": ""}))
    with pytest.raises(HomeError, match="was not finished"):
        Site(tmp_path / "a").status()
    again = Site.enrol(tmp_path / "a", router=server.url, code=code, policy="open").home
    assert (again.load(), again.token_file.read_text()) == (config, token)


def test_a_refused_code_leaves_nothing_behind(server: Server, tmp_path: Path, codes: Iterator[str]) -> None:
    with pytest.raises(Forbidden):
        Site.enrol(tmp_path / "a", router=server.url, code="WRONG-CODE", policy="open")
    assert not (tmp_path / "a").exists()
    code = next(codes)
    Site.enrol(tmp_path / "a", router=server.url, code=code, policy="open")
    with pytest.raises(Forbidden):
        Site.enrol(tmp_path / "b", router=server.url, code=code, policy="open")
    assert not (tmp_path / "b").exists()


def test_another_server_is_said(server: Server, tmp_path: Path, codes: Iterator[str]) -> None:
    with pytest.raises(NotNow, match="There is no Routing Server at .*/elsewhere .*Check the address"):
        Site.enrol(tmp_path / "a", router=f"{server.url}/elsewhere", code=next(codes), policy="open")
    assert not (tmp_path / "a").exists()


def test_an_unreachable_router_leaves_the_token_for_the_next_try(server: Server, tmp_path: Path, codes: Iterator[str]) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RouterUnreachable):
        Site.enrol(tmp_path / "a", router=nowhere, code="c", name="A", policy="open")
    token = (tmp_path / "a" / "token").read_text()
    with pytest.raises(RouterUnreachable):
        Site.enrol(tmp_path / "a", router=nowhere, code="c", name="A", policy="open")
    assert (tmp_path / "a" / "token").read_text() == token
    with pytest.raises(NotNow, match="was begun by another 'site init'"):
        Site.enrol(tmp_path / "a", router=server.url, code=next(codes), policy="open")


def test_a_home_is_not_enrolled_twice(server: Server, a: Site, codes: Iterator[str]) -> None:
    with pytest.raises(NotNow, match="is the home of"):
        Site.enrol(a.home.path, router=server.url, code=next(codes), policy="open")


def test_an_account_that_exists_makes_a_site(server: Server, tmp_path: Path, name: str) -> None:
    server.create_superuser(name, "a password of some length")
    site = Site.register(
        tmp_path / "a", router=f"{server.url}/starfish/api/v1/", name=name, username=name, password="a password of some length"
    )
    with site:
        assert (site.status().name, site.config.router, site.config.auth) == (name, server.url, "basic")
    with pytest.raises(Problem):
        Site.register(tmp_path / "b", router=server.url, name=f"{name} b", username=name, password="wrong")
    assert not (tmp_path / "b").exists()


def test_a_project_is_created_joined_and_left(a: Site, b: Site, file: Path, name: str) -> None:
    created = a.projects.create(file, dataset="patients")
    assert (created.project.role, created.project.dataset, created.fit and created.fit.problems) == ("coordinator", "patients", [])
    assert created.project.tasks[0]["config"]["total_round"] == 25
    before = b.projects.show(name)
    assert (before.role, before.tasks, before.definition, before.members) == (None, [], {}, None)
    joined = b.projects.join(name, dataset="patients")
    assert joined.project.role == "participant"
    assert joined.fit is not None
    assert {finding.variable for finding in joined.fit.problems} == {"age", "sex"}
    assert (joined.project.coordinator, joined.project.members) == (a.config.name, None), "a participant sees no other participant"
    assert a.projects.show(str(created.project.id)).members == [a.config.name, b.config.name]
    assert [project.name for project in b.projects.all()] == [name]
    b.projects.leave(name)
    assert b.projects.all() == []
    assert b.home.binding(created.project.id) is None
    with pytest.raises(NotNow, match="is no member"):
        b.projects.leave(name)


def test_joining_again_binds_another_dataset(a: Site, b: Site, file: Path, name: str, tmp_path: Path) -> None:
    project = a.projects.create(file, dataset=None).project
    assert (project.with_data, project.dataset) == (False, None)
    b.projects.join(name, dataset="patients")
    (tmp_path / "mended.csv").write_text(GOOD)
    b.datasets.add("mended", tmp_path / "mended.csv")
    joined = b.projects.join(name, dataset="mended")
    assert joined.fit is not None
    assert (joined.project.dataset, joined.fit.problems) == ("mended", [])
    with pytest.raises(UnknownName, match="There are these datasets: mended, patients"):
        b.projects.join(name, dataset="nothing")


def test_a_taken_name_is_refused_with_what_to_do(a: Site, b: Site, file: Path) -> None:
    a.projects.create(file, dataset="patients")
    with pytest.raises(NotNow, match="This site coordinates .* already"):
        a.projects.create(file, dataset="patients")
    with pytest.raises(NotNow, match="Another site has a project .* already. Choose another name in"):
        b.projects.create(file, dataset=None)


def test_nothing_is_created_where_the_dataset_does_not_fit(b: Site, file: Path, name: str) -> None:
    with pytest.raises(DataProblem, match="nothing was created: age: there is no column 'age'"):
        b.projects.create(file, dataset="patients")
    with pytest.raises(UnknownName):
        b.projects.create(file, dataset="nothing")
    with pytest.raises(FileError):
        b.projects.create(file.with_name("none.yaml"), dataset=None)
    with pytest.raises(UnknownName):
        b.projects.show(name)


def test_a_mapping_mends_and_is_versioned(b: Site, file: Path, name: str) -> None:
    fit = b.datasets.check("patients", file)
    assert [finding.variable for finding in fit.problems] == ["age", "sex"]
    assert b.datasets.map("patients", file).version == 0, "asking is no change"
    first = b.datasets.map("patients", file, MappingChange(entries={"age": {"column": "AGE_Y"}, "sex": {"recode": {"m": "male"}}}))
    second = b.datasets.map("patients", file, MappingChange(entries={"sex": {"recode": {"w": "female"}}}))
    assert (first.version, second.version) == (1, 2)
    assert second.variables["age"] == {"column": "AGE_Y"}
    assert second.variables["sex"]["recode"] == {"m": "male", "w": "female"}
    fit = b.datasets.check("patients", file)
    assert (fit.mapping_version, fit.problems) == (2, [])
    created = b.projects.create(file, dataset="patients")
    binding = b.home.binding(created.project.id)
    assert binding is not None
    assert binding.mapping_version == 2, "what was mapped by the file holds for the project of its name"
    assert b.datasets.show("patients").mappings == {name: 2}
    reset = b.datasets.map("patients", name, MappingChange(whole={"variables": {}}))
    assert (reset.version, reset.variables["age"]) == (3, {"column": "age"})


def test_a_column_that_is_not_there_is_not_mapped(b: Site, file: Path) -> None:
    for entry in ({"column": "AGE_Z"}, {"from": "AGE_Z", "to": "sex"}):
        with pytest.raises(DataProblem, match=r"age: there is no column 'AGE_Z' in .* Did you mean 'AGE_Y'\?"):
            b.datasets.map("patients", file, MappingChange(entries={"age": entry}))
    assert b.datasets.map("patients", file).version == 0


def test_a_project_without_variables_is_not_checked(a: Site, name: str) -> None:
    a.client.create_project(name, "", a.site_id, [], {})
    with pytest.raises(NotNow, match="says nothing of its variables"):
        a.datasets.check("patients", name)


def test_a_foreign_project_is_not_checked_blindly(a: Site, b: Site, file: Path, name: str) -> None:
    a.projects.create(file, dataset=None)
    with pytest.raises(NotNow, match="Join it first, or name its project file"):
        b.datasets.check("patients", name)


def test_a_start_is_refused_with_the_reason(a: Site, b: Site, file: Path, name: str) -> None:
    a.projects.create(file, dataset="patients")
    b.projects.join(name, dataset="patients")
    with pytest.raises(NotAllowed, match="Only the coordinator"):
        b.runs.start(name)
    with pytest.raises(NotNow, match="This site is not up"):
        a.runs.start(name)
    for ask in (a.runs.show, a.runs.report, a.runs.logs, b.runs.show):
        with pytest.raises(NotNow, match="has no batch yet"):
            ask(name)
    with pytest.raises(UnknownName, match="No project 'nothing' is known"):
        a.runs.show("nothing")
    for nobody in ("", "x" * 100_000):
        with pytest.raises(UnknownName, match="1 to 200 characters"):
            a.runs.show(nobody)


def test_logs_and_progress_are_what_the_sites_have_told(a: Site, b: Site, file: Path, name: str) -> None:
    created = a.projects.create(file, dataset="patients")
    b.projects.join(name, dataset="patients")
    for site in (a, b):
        site.client.heartbeat(site.config.uid)
    a.client.start_batch(created.project.id)
    of = {run.site_uid: run.id for run in a.client.batch_runs(created.project.id, 1, a.config.uid)}
    ours, theirs = of[a.config.uid], of[b.config.uid]
    assert a.runs.logs(name) == []
    first, second = (f"2026-11-24T10:00:0{number}.000+00:00 line {number}\n" for number in (1, 2))
    b.client.upload(theirs, 1, 1, "logs", "logs.txt", b"an old controller's\nan old controller's\n")
    assert [(log.site, log.text) for log in a.runs.logs(name)] == [(b.config.name, "an old controller's\nan old controller's\n")]
    b.client.upload(theirs, 1, 1, "logs", "logs.txt", first.encode())
    b.client.add_lines(theirs, first)
    b.client.add_lines(theirs, first + second + "no time\nno time")
    a.client.add_lines(ours, "ours")
    told = {log.site: log.text for log in a.runs.logs(name)}
    assert told == {a.config.name: "ours\n", b.config.name: first + second + "no time\nno time\n"}
    assert [log.text for log in b.runs.logs(name)] == [told[b.config.name]]
    assert {site.site: site.progress for site in a.runs.show(name).sites} == {a.config.name: None, b.config.name: None}
    assert b.client.report_progress(theirs, round_seq=1, step="train", fraction=0.5, message="half")
    [report] = [site.progress for site in a.runs.show(name).sites if site.progress]
    assert (report.step, report.fraction, report.message) == ("train", 0.5, "half")
    assert [site.progress for site in b.runs.show(name).sites] == b.client.progress(theirs) == [report]
    watched = next(a.runs.watch(name))
    assert [site.progress for site in watched.state.sites if site.progress] == [report]


def test_terms_of_another_controller_are_shown_and_refused(a: Site, b: Site, name: str) -> None:
    a.client.create_project(name, "", a.site_id, [{"seq": 1, "model": "M", "config": {}}], {"variables": {"age": 5}})
    with pytest.raises(DataProblem, match=r"This site is a member of .* can't take part yet: age: .*project leave"):
        b.projects.join(name, dataset="patients")
    assert b.projects.show(name).role == "participant"


def test_a_project_without_tasks_is_not_started(a: Site, name: str) -> None:
    a.client.create_project(name, "", a.site_id, [], {})
    with pytest.raises(NotNow, match="has no tasks"):
        a.runs.start(name)


def test_an_outsider_sees_nothing_of_the_batches(a: Site, b: Site, file: Path, name: str) -> None:
    a.projects.create(file, dataset="patients")
    with pytest.raises(NotNow, match="is no member"):
        b.runs.show(name)


def test_a_router_that_is_away_is_part_of_the_status(a: Site) -> None:
    raw = json.loads(a.home.site_file.read_text())
    a.home.site_file.write_text(json.dumps(raw | {"router": f"http://127.0.0.1:{free_port()}"}))
    with Site(a.home.path) as site:
        status = site.status()
        with pytest.raises(RouterUnreachable):
            site.projects.all()
    assert (status.reachable, status.connected) == (False, None)
    assert "does not answer" in str(status.problem)


def test_a_dataset_is_no_pipe(a: Site, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotNow, match="is a pipe"):
        a.datasets.add("pipe", tmp_path / "pipe")


@pytest.mark.parametrize("damage", ["policy.yaml", "journal.sqlite3", "token"])
def test_a_site_that_cannot_come_up_never_says_that_it_is(a: Site, damage: str) -> None:
    (a.home.path / damage).write_bytes(b"\xff" * 200)
    (a.home.path / damage).chmod(0o600)
    said: list[str] = []
    with pytest.raises(HomeError, match=damage):
        a.up(lambda: said.append("up"))
    assert not said


def test_every_site_has_a_log_file_of_its_own(tmp_path: Path) -> None:
    """Whatever the sites are called."""
    names = ["Clinic/North", "Clinic:North", "..", "大学病院" * 25, "大学病院" * 24 + "大学病室"]
    for name in names:
        log_file(tmp_path, name).write_text(name)
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("name", ["", " a", "a/b", "a\nb"])
def test_a_dataset_needs_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotNow, match="can't be a dataset's name"):
        Site(tmp_path).datasets.add(name, "data.csv")


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://starfish.example.org", "https://starfish.example.org"),
        ("https://example.org/fl/", "https://example.org/fl"),
        ("http://127.0.0.1:8000/starfish/api/v1/", "http://127.0.0.1:8000"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_addresses(url: str, kept: str) -> None:
    assert checked_router(url, insecure=False) == kept


@pytest.mark.parametrize(
    "url", ["", "starfish.example.org", "ftp://x", "https://", "https://u:p@x", "https://x/?q", "http://[::1", "https://x:y"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(NotAllowed, match="is no address"):
        checked_router(url, insecure=True)


@pytest.mark.parametrize(
    "url", ["http://10.1.2.3:8000", "http://starfish.example.org", "http://127.0.0.1.example.org", "http://localhost.example.org"]
)
def test_plain_http_to_another_machine_needs_a_word(url: str) -> None:
    with pytest.raises(NotAllowed, match="plain http"):
        checked_router(url, insecure=False)
    assert checked_router(url, insecure=True) == url
