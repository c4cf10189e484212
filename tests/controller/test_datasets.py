"""A site's datasets, mappings and bindings: durable, versioned, and never half changed."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from starfish.controller.datasets import Datasets
from starfish.controller.errors import HomeError, NotNow, UnknownName


@pytest.fixture
def datasets(tmp_path: Path) -> Datasets:
    datasets = Datasets(tmp_path / "datasets.json")
    datasets.add("heart", "/data/heart.csv")
    return datasets


def test_a_dataset_is_found_again(datasets: Datasets) -> None:
    again = Datasets(datasets.path)
    assert again.get("heart").source == "/data/heart.csv"
    assert [dataset.name for dataset in again.all()] == ["heart"]


def test_an_unknown_dataset_lists_the_known(datasets: Datasets) -> None:
    with pytest.raises(UnknownName, match="No dataset is called 'hart' here. There are these datasets: heart"):
        datasets.get("hart")


def test_adding_again_changes_nothing_and_a_taken_name_is_refused(datasets: Datasets) -> None:
    before = datasets.path.read_bytes()
    datasets.add("heart", "/data/heart.csv")
    assert datasets.path.read_bytes() == before
    with pytest.raises(NotNow, match="exists already, and is /data/heart.csv"):
        datasets.add("heart", "/data/other.csv")


def test_each_change_of_a_mapping_is_a_version(datasets: Datasets) -> None:
    assert datasets.mapping("heart", "study") is None
    first = datasets.set_mapping("heart", "study", {"age": {"column": "AGE"}})
    same = datasets.set_mapping("heart", "study", {"age": {"column": "AGE"}})
    second = datasets.set_mapping("heart", "study", {"age": {"column": "AGE_Y"}})
    assert (first.version, same.version, second.version) == (1, 1, 2)
    assert datasets.mapping("heart", "study") == second
    assert [version.mapping for version in datasets.mapping_versions("heart", "study")] == [first.mapping, second.mapping]
    assert datasets.mapping("heart", "another") is None


def test_a_binding_carries_the_mapping_that_holds(datasets: Datasets) -> None:
    datasets.bind(3, "study", "heart")
    binding = datasets.binding(3)
    assert binding is not None
    assert (binding.dataset, binding.source, binding.mapping, binding.mapping_version) == ("heart", "/data/heart.csv", None, 0)
    datasets.set_mapping("heart", "study", {"age": {"column": "AGE"}})
    binding = datasets.binding(3)
    assert binding is not None
    assert (binding.mapping, binding.mapping_version) == ({"age": {"column": "AGE"}}, 1)


def test_without_data_is_not_the_same_as_unbound(datasets: Datasets) -> None:
    assert datasets.binding(3) is None
    datasets.bind(3, "study", None)
    binding = datasets.binding(3)
    assert binding is not None
    assert binding.source is None
    datasets.unbind(3)
    assert datasets.binding(3) is None


def test_an_unknown_dataset_is_not_bound(datasets: Datasets) -> None:
    with pytest.raises(UnknownName):
        datasets.bind(3, "study", "hart")
    assert datasets.binding(3) is None


def test_changes_at_once_are_all_kept(datasets: Datasets) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: datasets.add(f"d{number}", f"/data/{number}.csv"), range(20)))
    assert len(datasets.all()) == 21


@pytest.mark.parametrize("content", ["", "[]", '{"version": 9}', '{"version": 1, "datasets": {}}'])
def test_a_damaged_file_is_said_and_kept(datasets: Datasets, content: str) -> None:
    datasets.path.write_text(content)
    with pytest.raises(HomeError):
        datasets.add("other", "/data/other.csv")
    assert datasets.path.read_text() == content


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("datasets", {"heart": 5}),
        ("datasets", {"heart": {"source": "/data/heart.csv"}}),
        ("mappings", {"heart": 5}),
        ("mappings", {"heart": {"study": [5]}}),
        ("bindings", {"3": 7}),
        ("bindings", {"3": {"project": "study"}}),
        ("bindings", None),
    ],
)
def test_a_damaged_part_is_said(datasets: Datasets, key: str, value: object) -> None:
    datasets.path.write_text(json.dumps(json.loads(datasets.path.read_text()) | {key: value}))
    with pytest.raises(HomeError, match="is damaged"):
        datasets.all()
