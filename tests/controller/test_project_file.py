"""A project file becomes what the wire carries, or is refused with the line and what to do."""

from pathlib import Path

import pytest

from starfish.controller import project_file
from starfish.controller.errors import FileError

GOOD = """\
name: heart-disease
description: Who has heart disease, by age, sex and vital signs
variables:
  age:     {type: number, unit: years}
  sex:     {type: category, levels: [female, male]}
  smoker:  {type: category, levels: [no, yes]}
  disease: {type: binary, positive: 1, role: outcome}
missing: complete-cases
eligibility: age >= 18
tasks:
  - model: LogisticRegressionStats
    config: {formula: "disease ~ age + sex"}
  - model: SummaryStatistics
"""


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_a_good_file_becomes_what_the_wire_carries() -> None:
    project = project_file.from_text(GOOD)
    assert (project.name, project.description) == ("heart-disease", "Who has heart disease, by age, sex and vital signs")
    assert project.definition == {
        "variables": {
            "age": {"type": "number", "unit": "years"},
            "sex": {"type": "category", "levels": ["female", "male"]},
            "smoker": {"type": "category", "levels": ["no", "yes"]},
            "disease": {"type": "binary", "positive": 1, "role": "outcome"},
        },
        "missing": "complete-cases",
        "eligibility": "age >= 18",
    }
    assert [task["seq"] for task in project.tasks] == [1, 2]
    assert project.tasks[0] == {
        "seq": 1,
        "model": "LogisticRegressionStats",
        "config": {"formula": "disease ~ age + sex", "total_round": 25, "current_round": 1},
    }
    assert project.tasks[1]["config"].keys() == {"total_round", "current_round"}


def test_a_limit_of_rounds_is_kept() -> None:
    project = project_file.from_text(changed('sex"}', 'sex", total_round: 7}'))
    assert project.tasks[0]["config"]["total_round"] == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this is no project file"),
        ("- a\n- b\n", "this is no project file"),
        ("just words", "this is no project file"),
        (changed("name: heart-disease\n", ""), "a project needs a name"),
        (changed("name: heart-disease", "name: 42"), "line 1: a name of digits alone"),
        (changed("name: heart-disease", "name: [a]"), "line 1: 'name' must be a text, not a list"),
        (changed("name: heart-disease", "name: " + "x" * 101), "line 1: the name is 101 characters long"),
        (changed("name: heart-disease", "name: heart.yaml"), "line 1: a name may not"),
        (changed("description: Who", "descripton: Who"), "line 2: 'descripton' is unknown. Did you mean 'description'?"),
        (changed("missing: complete-cases", "missing: impute"), "line 8: 'impute' arrives with the task MultipleImputation"),
        (changed("missing: complete-cases", "missing: drop"), "line 8: .*complete-cases"),
        (changed("age >= 18", "agee >= 18"), "line 9: .*agee"),
        (changed("age >= 18", "__import__('os')"), "line 9: "),
        (changed("type: number, ", "type: numbr, "), "line 4: age: 'type'"),
        (changed("type: number, ", "tipe: number, "), "line 4: age: 'tipe' is unknown. Did you mean 'type'?"),
        (changed("[female, male]", "female"), "line 5: sex: 'levels' must be a list"),
        (changed("  disease: {", "  age: {"), "line 7: 'age' stands here twice; it is at line 4 already"),
        (changed("  smoker:  {type: category, levels: [no, yes]}", "  smoker: category"), "line 6: smoker: "),
        ("name: x\ntasks: [{model: SummaryStatistics}]\n", "'variables' must name the project's variables"),
        ("name: x\nvariables: [age]\ntasks: [{model: SummaryStatistics}]\n", "line 2: 'variables' must name the project's variables"),
        (GOOD[: GOOD.index("tasks:")], "'tasks' must list at least one task"),
        (GOOD[: GOOD.index("tasks:")] + "tasks: []\n", "line 10: 'tasks' must list at least one task"),
        (GOOD[: GOOD.index("tasks:")] + "tasks: {model: SummaryStatistics}\n", "line 10: 'tasks' must list at least one task"),
        (changed("- model: SummaryStatistics", "- SummaryStatistics"), "line 13: task 2 must be a mapping"),
        (changed("- model: SummaryStatistics", "- config: {}"), "line 13: task 2 needs 'model:'"),
        (changed("- model: SummaryStatistics", "- model: [1]"), "line 13: task 2 needs 'model:'"),
        (changed("- model: SummaryStatistics", "- modell: SummaryStatistics"), "line 13: 'modell' is unknown. Did you mean 'model'?"),
        (changed("- model: SummaryStatistics", "- model: SumaryStatistics"), "line 13: task 2 .*SummaryStatistics"),
        (changed("- model: SummaryStatistics", "- model: os:system"), "line 13: task 2 "),
        (
            changed('config: {formula: "disease ~ age + sex"}', "config: 5"),
            "line 12: 'config' must be a mapping of parameters, not a number",
        ),
        (changed("disease ~ age + sex", "disease ~ age + sexx"), "line 12: task 1 .*sexx"),
        (changed("disease ~ age + sex", "disease ~ __import__('os').system('ls')"), "line 12: task 1 "),
        (changed('sex"}', 'sex", total_round: many}'), "line 12: task 1 .*total_round"),
        (changed('sex"}', 'sex", alpa: 0.1}'), "line 12: task 1 .*alpa"),
        (changed('sex"}', 'sex", alpha: 2}'), "line 12: task 1 .*alpha"),
        (changed('sex"}', 'sex", current_round: 3}'), "line 12: task 1 .*'current_round' is counted by the Routing Server"),
        (changed("- model: SummaryStatistics", "- "), "line 13: task 2 must be a mapping .* not nothing"),
        (
            changed("  sex:", "  site:").replace('age + sex"}', 'age + site", site: fixed}'),
            r"line 12: task 1 .*the variable 'site' can't be told from the terms site\[",
        ),
        (changed("missing: complete-cases", "missing:\n\tcomplete-cases"), "line 9: a tab"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, message: str) -> None:
    with pytest.raises(FileError, match=message) as raised:
        project_file.from_text(text)
    assert "Traceback" not in str(raised.value)
    assert "pydantic" not in str(raised.value)


def test_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("name: x\nnmae: y\n")
    with pytest.raises(FileError, match=r"study\.yaml: line 2: 'nmae' is unknown"):
        project_file.read(file)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"PK\x03\x04\x00\x00\xfa", bytes(range(256))])
def test_a_binary_file_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "study.yaml").write_bytes(content)
    with pytest.raises(FileError, match="not a text file"):
        project_file.read(tmp_path / "study.yaml")


def test_a_missing_file_a_folder_and_a_dataset_are_said(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="there is no such file"):
        project_file.read(tmp_path / "nothing.yaml")
    with pytest.raises(FileError, match="this is a folder"):
        project_file.read(tmp_path)
    (tmp_path / "data.csv").write_text("1,2\n" * 300_000)
    with pytest.raises(FileError, match="too large"):
        project_file.read(tmp_path / "data.csv")


def test_a_byte_order_mark_is_no_harm(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert project_file.read(tmp_path / "study.yaml").name == "heart-disease"


def test_a_variable_may_be_called_site_where_no_site_has_a_term() -> None:
    project_file.from_text(changed("  sex:", "  site:").replace('age + sex"}', 'age + site"}'))


def test_a_word_of_yaml_stays_the_word_that_was_written() -> None:
    assert project_file.from_text(changed("name: heart-disease", "name: true")).name == "true"
