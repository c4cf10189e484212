"""A likelihood is an oracle: the known attacks, first where nothing is held back, to show that they work, then under `standard`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from starfish.tasks.api import Rows, Task
from starfish.tasks.disclosure import OPEN, UNCHECKED, Limits, Scrutiny
from starfish.tasks.errors import SiteRefusal
from starfish.tasks.likelihood import LikelihoodTask, State
from starfish.tasks.likelihood.judged import judge_information
from starfish.tasks.likelihood.state import rows_digest, site_digest
from starfish.tasks.payload import Payload
from tests.tasks.federated import build, federated
from tests.tasks.heart import HOSPITALS, PATIENTS, STANDARD, of

Array = np.ndarray
FORMULA = "disease ~ age + trestbps + chol + thalch + oldpeak"
VICTIM = "cleveland"
STEEP = 1e6


def question(**config: Any) -> Task:
    return build("LogisticRegressionStats", PATIENTS, **{"formula": FORMULA, **config})


class Study:
    """Three hospitals' honest rounds: what each was sent, and what it answered."""

    def __init__(self, task: Task, rounds: int = 30, limits: Limits = OPEN) -> None:
        self.task = task
        sites = [site for site in HOSPITALS if site != "switzerland"]
        self.rows = {site: of(task, HOSPITALS[site]) for site in sites}
        self.models: list[Payload | None] = [None]
        self.updates: list[dict[str, Payload]] = []
        while len(self.updates) < rounds:
            self.updates.append({site: self.ask(site, self.models[-1], limits) for site in sorted(self.rows)})
            outcome = task.aggregate(self.updates[-1].items(), self.models[-1])
            if outcome.done:
                break
            self.models.append(outcome.model)

    def scrutiny(self, site: str, limits: Limits) -> Scrutiny:
        """What the site has itself of the rounds so far."""
        earlier = self.models[-2] if len(self.models) > 1 else None
        return Scrutiny(limits=limits, model=earlier, update=self.updates[-1][site] if self.updates else None)

    def ask(self, site: str, model: Payload | None, limits: Limits) -> Payload:
        return self.task.train(self.rows[site], model, site=site, scrutiny=self.scrutiny(site, limits))


def changed(model: Payload | None, meta: Mapping[str, Any] | None = None, **arrays: Array) -> Payload:
    assert model is not None
    renamed = {name.replace("__", ":"): array for name, array in arrays.items()}
    return Payload(meta={**model.meta, **(meta or {})}, arrays={**model.arrays, **renamed})


def standardised(rows: Rows, model: Payload) -> Array:
    """The covariates, by the pooled values that the coordinator knows."""
    names = ("age", "trestbps", "chol", "thalch", "oldpeak")
    x = np.column_stack([rows.columns[name] for name in names])
    return np.asarray((x - model.arrays["mean"]) / model.arrays["sd"])


def steep_vectors(z: Array) -> Array:
    """For each row a hyperplane through it, in a direction of no meaning, so steep that all others lie far from it."""
    direction = np.random.default_rng(6).normal(size=z.shape[1])
    return np.column_stack([-(z @ direction), np.tile(direction, (len(z), 1))]) * STEEP


def read_off(information: Array, z: Array) -> bool:
    """Whether the information, divided by its corner, is somebody's covariates."""
    if information[0, 0] <= 1e-12:
        return False
    return bool((np.abs(z - information[0, 1:] / information[0, 0]).max(axis=1) < 1e-6).any())


def known_attack(study: Study, limits: Limits) -> tuple[int, list[str]]:
    """Of how many rows of the victim the covariates come out, one query each; and the codes of its refusals."""
    model = study.models[-1]
    assert model is not None
    z = standardised(study.rows[VICTIM], model)
    found, codes = 0, []
    for theta in steep_vectors(z):
        try:
            answer = study.ask(VICTIM, changed(model, theta=theta), limits)
        except SiteRefusal as refusal:
            codes.append(refusal.code)
        else:
            found += read_off(answer.arrays["information"], z)
    return found, codes


def test_the_known_attack_reads_nearly_all_rows_where_nothing_is_held_back() -> None:
    study = Study(question(), rounds=1)
    found, refused = known_attack(study, OPEN)
    assert study.rows[VICTIM].n == 303
    assert found > 270
    assert not refused


def test_the_known_attack_gets_nothing() -> None:
    found, refused = known_attack(Study(question(), rounds=1), STANDARD)
    assert found == 0
    assert refused == ["oracle"] * 303


def test_nor_does_it_at_any_later_round() -> None:
    found, refused = known_attack(Study(question(), rounds=3), STANDARD)
    assert (found, set(refused)) == (0, {"oracle"})


@pytest.mark.parametrize("change", ["twice as long", "reversed", "turned", "a little", "half, though the step was good", "start"])
def test_a_step_that_is_not_newtons_is_refused(change: str) -> None:
    study = Study(question(), rounds=3)
    model = study.models[-1]
    assert model is not None
    base, step = model.arrays["base_theta"], model.arrays["step"]
    forged = {
        "twice as long": changed(model, theta=base + 2 * step, step=2 * step),
        "reversed": changed(model, theta=base - step, step=-step),
        "turned": changed(model, theta=base + step[::-1], step=step[::-1].copy()),
        "a little": changed(model, theta=base + step * 1.001),
        "half, though the step was good": changed(model, {"halvings": 1}, theta=base + step / 2),
        "start": changed(model, theta=np.zeros(len(base))),
    }[change]
    study.ask(VICTIM, model, STANDARD)
    with pytest.raises(SiteRefusal, match="does not follow") as caught:
        study.ask(VICTIM, forged, STANDARD)
    assert caught.value.code == "oracle"


@pytest.mark.parametrize("name", ["mean", "sd", "theta"])
def test_the_first_point_and_the_columns_are_the_pooled_ones(name: str) -> None:
    study = Study(question(), rounds=1)
    model = study.models[-1]
    study.ask(VICTIM, model, STANDARD)
    assert model is not None
    with pytest.raises(SiteRefusal, match=f"'{name}' does not follow"):
        study.ask(VICTIM, changed(model, **{name: model.arrays[name] + 0.01}), STANDARD)
    with pytest.raises(SiteRefusal, match="can't be of rows"):
        study.ask(VICTIM, changed(model, sum__cross=model.arrays["sum:cross"] * 0.2), STANDARD)
    with pytest.raises(SiteRefusal, match="less than this site's own"):
        study.ask(VICTIM, changed(model, sum__n=np.array(20.0)), STANDARD)


def test_a_pole_at_one_patients_age_is_found_before_its_column_leaves() -> None:
    """center() takes the asker's mean: with a mean next to a patient's age a negative power is an indicator of that patient."""
    task = question(formula="disease ~ I(center(age)^-3) + oldpeak")
    study = Study(task, rounds=1)
    model = study.models[-1]
    oldest = float(study.rows[VICTIM].columns["age"].max())
    forged = changed(model, {"moments": {"age": [oldest + 1e-3, 9.0]}})
    alone = study.ask(VICTIM, forged, OPEN).arrays["cross"][0]
    assert alone == pytest.approx(1e18, rel=0.01), "the column is one patient's"
    with pytest.raises(SiteRefusal, match="does not follow"):
        study.ask(VICTIM, forged, STANDARD)
    with pytest.raises(SiteRefusal, match="rule max_share"):
        task.train(study.rows[VICTIM], forged, site=VICTIM, scrutiny=Scrutiny(limits=_without_chain(STANDARD)))


def _without_chain(limits: Limits) -> Limits:
    return Limits(**{**vars(limits), "oracle": False})


def follow(task: Task, before: State, sums: Mapping[str, Array]) -> Payload:
    """The engine's own answer to sums that somebody has made up."""
    assert isinstance(task, LikelihoodTask)
    task.follow(before, sums)
    return before.payload()


def leading_to(study: Study, target: Array, others: float) -> Payload:
    """The model that follows from the last but one and made-up sums, whose next point is `target`; others' log-likelihood is -others."""
    base = study.models[-2]
    assert base is not None
    own = study.updates[-1][VICTIM].arrays
    information = own["information"] + np.eye(len(target))
    sums = {
        "ll": own["ll"] - others,
        "information": information,
        "score": information @ (target - base.arrays["theta"]),
        "spread": np.array(1.0),
        "rank": np.array(10.0),
    }
    return follow(study.task, State.of(base), sums)


def with_made_up_rows(n: float) -> Study:
    """A study whose coordinator has made up n rows in round 1, of the means and deviations that the sites' have; the next model is open."""
    study = Study(question(), rounds=1)
    model = study.models[1]
    assert model is not None
    factor = n / float(model.arrays["sum:n"])
    sums = {name: model.arrays[f"sum:{name}"] * factor for name in ("n", "weight", "cross", "within", "outcome")}
    sums |= {"mean": model.arrays["sum:mean"], "site:mean": np.zeros((3, 6)), "site:outcome": np.ones((3, 2))}
    forged = follow(study.task, State({name: model.meta[name] for name in ("sites", "announced")}, {}), sums)
    study.models[1] = forged
    study.updates.append({VICTIM: study.ask(VICTIM, forged, STANDARD)})
    study.models.append(None)
    return study


def test_sums_that_no_rows_have_are_refused_though_the_step_follows_from_them() -> None:
    """Two colluding sites send what makes the step lead to one patient of the third."""
    study = Study(question(), rounds=2)
    z = standardised(study.rows[VICTIM], study.models[1])  # type: ignore[arg-type]
    forged = leading_to(study, steep_vectors(z)[0], others=100.0)
    assert read_off(study.ask(VICTIM, forged, OPEN).arrays["information"], z) is True
    with pytest.raises(SiteRefusal, match="'score' is more than any rows can make it"):
        study.ask(VICTIM, forged, STANDARD)


@pytest.mark.parametrize(
    ("sums", "says"),
    [
        ({"sum__information": -0.5}, "'information' is less than this site's own"),
        ({"sum__ll": 1e3}, "'ll' is above what any rows can have"),
        ({"sum__score": 1e5}, "'score' is more than any rows"),
    ],
)
def test_sums_that_this_sites_own_are_not_in_are_refused(sums: dict[str, float], says: str) -> None:
    study = Study(question(), rounds=2)
    model = study.models[-1]
    assert model is not None
    name, factor = next(iter(sums.items()))
    honest = model.arrays[name.replace("__", ":")]
    forged = {name: honest * factor if name == "sum__information" else honest + factor}
    with pytest.raises(SiteRefusal, match=says):
        study.ask(VICTIM, changed(model, **forged), STANDARD)


def test_a_steep_point_that_follows_from_made_up_rows_is_refused_by_what_the_rows_show() -> None:
    """A coordinator that makes up rows enough has sums which lead anywhere: what counts is how few rows make the answer up."""
    study = with_made_up_rows(1e15)
    z = standardised(study.rows[VICTIM], study.models[1])  # type: ignore[arg-type]
    read = 0
    for theta in steep_vectors(z)[:40]:
        forged = leading_to(study, theta, others=1e14)
        read += read_off(study.ask(VICTIM, forged, OPEN).arrays["information"], z)
        with pytest.raises(SiteRefusal) as caught:
            study.ask(VICTIM, forged, STANDARD)
        assert caught.value.code == "effective-rows"
    assert read > 30


def test_many_steps_that_look_legal_end_before_any_row_stands_out() -> None:
    """Made-up rows, a step in each round towards a steep vector: the answers stop while all are of many rows."""
    study = with_made_up_rows(1e15)
    z = standardised(study.rows[VICTIM], study.models[1])  # type: ignore[arg-type]
    target = steep_vectors(z)[100] / STEEP
    answered, read = 0, 0
    for size in 2.0 ** np.arange(-3, 20):
        forged = leading_to(study, target * size, others=1e14)
        try:
            answer = study.ask(VICTIM, forged, STANDARD)
        except SiteRefusal as refusal:
            assert refusal.code in {"effective-rows", "saturated", "loudest-row", "max-share", "leverage"}
            break
        weights = answer.arrays["information"]
        answered, read = answered + 1, read + read_off(weights, z)
        study.models[-1] = forged
        study.updates.append({VICTIM: answer})
        study.models.append(None)
    else:
        raise AssertionError("no step was refused")
    assert (answered > 1, read) == (True, 0)
    assert size <= 2.0**6


def test_the_information_of_a_robust_error_is_the_pooled_one() -> None:
    """With leverages of the asker's choice, the sandwich's middle would be one patient's."""
    study = Study(question(se="HC3"))
    model = study.models[-1]
    assert model is not None
    assert model.meta["stage"] == "meat"
    study.updates.pop()
    honest = study.ask(VICTIM, model, STANDARD)
    forged = changed(model, base_information=model.arrays["base_information"] * 0.1)
    assert not np.allclose(study.ask(VICTIM, forged, OPEN).arrays["meat"], honest.arrays["meat"])
    with pytest.raises(SiteRefusal, match="'base_information' does not follow"):
        study.ask(VICTIM, forged, STANDARD)


def test_the_line_of_calibration_is_newtons() -> None:
    """A steep line through one patient's predicted odds would tell that patient's outcome."""
    study = Study(build("LogisticRegression", PATIENTS, formula=FORMULA))
    last = len(study.models) - 1
    assert study.models[last] is not None
    assert study.models[last].meta["stage"] == "metrics"  # type: ignore[union-attr]
    study.updates.pop()
    study.ask(VICTIM, study.models[last], STANDARD)
    with pytest.raises(SiteRefusal, match="does not follow"):
        study.ask(VICTIM, changed(study.models[last], calibration=np.array([-3e5, 1e6])), STANDARD)


@pytest.mark.parametrize("penalty", ["none", "firth"])
def test_a_site_that_has_lost_what_it_had_answers_nothing(penalty: str) -> None:
    study = Study(question(penalty=penalty), rounds=3)
    scrutiny = study.scrutiny(VICTIM, STANDARD)
    rows, model = study.rows[VICTIM], study.models[-1]
    for known in (Scrutiny(limits=STANDARD, model=scrutiny.model), Scrutiny(limits=STANDARD, update=scrutiny.update)):
        with pytest.raises(SiteRefusal, match="not the one that follows|can't be computed with"):
            study.task.train(rows, model, site=VICTIM, scrutiny=known)


@pytest.mark.parametrize("part", ["adjustment", "added"])
def test_the_adjustment_of_firths_penalty_is_looked_at_too(part: str) -> None:
    study = Study(question(penalty="firth"), rounds=5)
    model = study.models[-1]
    assert model is not None
    study.ask(VICTIM, model, STANDARD)
    forged = model.arrays[f"sum:{part}"] * np.linspace(1.0, 1.1, len(model.arrays["theta"]))
    with pytest.raises(SiteRefusal, match="does not follow|less than"):
        study.ask(VICTIM, changed(model, **{f"sum__{part}": forged}), STANDARD)


def test_a_halved_step_is_answered() -> None:
    """A step that went too far: the point before it, and half of the step."""
    study = Study(question(), rounds=2)
    first = study.models[-1]
    assert first is not None
    worse = {site: study.ask(site, first, OPEN) for site in study.rows}
    low = {site: Payload(meta=u.meta, arrays={**u.arrays, "ll": u.arrays["ll"] * 3.0}) for site, u in worse.items()}
    halved = study.task.aggregate(low.items(), first).model
    assert halved.meta["halvings"] == 1
    study.updates.append(low)
    study.models.append(halved)
    assert study.ask(VICTIM, halved, STANDARD).finite()
    step = first.arrays["step"]
    with pytest.raises(SiteRefusal, match="'theta' does not follow"):
        study.ask(VICTIM, changed(halved, theta=halved.arrays["base_theta"] + step / 4), STANDARD)


def test_brackets_of_the_askers_choice_tell_values_and_are_refused() -> None:
    task = build("SummaryStatistics", PATIENTS, variables=["chol"], quantiles=[0.5])
    rows = {site: HOSPITALS[site] for site in ("cleveland", "hungary", "long_beach")}
    first = {site: task.train(part, None, site=site) for site, part in rows.items()}
    model = task.aggregate(first.items(), None).model
    largest = float(np.nanmax(rows[VICTIM].columns["chol"]))
    shape = model.arrays["low"].shape
    forged = changed(model, low=np.full(shape, largest - 16.0), high=np.full(shape, largest + 16.0))
    counts = task.train(rows[VICTIM], forged, site=VICTIM, scrutiny=UNCHECKED).arrays["below"][0, -1, 0]
    assert np.flatnonzero(np.diff(counts))[-1] == 30, "the largest value, to half a unit"
    held = Scrutiny(limits=STANDARD, update=first[VICTIM])
    assert task.train(rows[VICTIM], model, site=VICTIM, scrutiny=held).arrays["below"].any()
    with pytest.raises(SiteRefusal, match="'high' does not follow|'low' does not follow"):
        task.train(rows[VICTIM], forged, site=VICTIM, scrutiny=held)


def test_brackets_are_looked_at_in_every_round_and_few_values_are_withheld() -> None:
    task = build("SummaryStatistics", PATIENTS, variables=["chol"], quantiles=[0.99], resolution=1e-6)
    rows = {site: HOSPITALS[site] for site in ("cleveland", "hungary", "long_beach")}
    models: list[Payload | None] = [None]
    sent: list[dict[str, Payload]] = []
    while len(models) < 5:
        earlier = models[-2] if len(models) > 1 else None
        held = {site: Scrutiny(limits=STANDARD, model=earlier, update=sent[-1][site] if sent else None) for site in rows}
        sent.append({site: task.train(part, models[-1], site=site, scrutiny=held[site]) for site, part in rows.items()})
        outcome = task.aggregate(sent[-1].items(), models[-1])
        if outcome.done:
            break
        models.append(outcome.model)
    assert outcome.model.arrays["closed"].any()
    assert not any(update.arrays["below"][update.arrays["withheld"] > 0].any() for update in sent[-1].values())
    forged = changed(models[-1], sum__below=models[-1].arrays["sum:below"] * 0.0)  # type: ignore[union-attr]
    held_now = Scrutiny(limits=STANDARD, model=models[-2], update=sent[-2][VICTIM])
    with pytest.raises(SiteRefusal, match="own counts are not among"):
        task.train(rows[VICTIM], forged, site=VICTIM, scrutiny=held_now)


def test_a_model_of_other_rows_than_this_site_announced_is_refused() -> None:
    study = Study(question(), rounds=1)
    model = study.models[-1]
    assert model is not None
    place = list(model.meta["sites"]).index(site_digest(VICTIM))
    announced = list(model.meta["announced"])
    announced[place] = rows_digest(VICTIM, 7.0)
    with pytest.raises(SiteRefusal, match="does not name the rows"):
        study.ask(VICTIM, changed(model, {"announced": announced}), STANDARD)


def test_one_row_in_a_column_and_in_a_combination_of_columns() -> None:
    """Of many rows the largest numbers decide; where they don't, each row is looked at."""
    z = np.random.default_rng(1).normal(size=(500, 3))
    weights = np.full(500, 0.2)
    judge_information(STANDARD, z, weights, z.T @ (z * weights[:, None]))
    z[7] = 80.0, 0.0, 0.0
    with pytest.raises(SiteRefusal, match="rule max_share"):
        judge_information(STANDARD, z, weights, z.T @ (z * weights[:, None]))
    z[7] = z[8]
    z[:, 1] = z[:, 0]
    z[7, 1] += 0.5
    with pytest.raises(SiteRefusal, match="combination of columns"):
        judge_information(STANDARD, z, weights, z.T @ (z * weights[:, None]))


def test_an_honest_study_is_not_refused() -> None:
    task = question()
    sites = {site: of(task, HOSPITALS[site]) for site in HOSPITALS if site != "switzerland"}
    report, _ = federated(task, sites, limits=STANDARD)
    assert report.converged
