"""What a study is: the runs that follow from a grid and seeds, its id, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from echo_core.config import RunConfig
from echo_core.config.presets import PRESETS
from echo_core.studies.study import FIRST_TUNING_SEED, RATES, TUNING_SEEDS, Axis, Study, parse_axis

QUICK = PRESETS["quick"].config


def test_it_has_a_run_for_each_setting_and_seed_and_nothing_else_differs():
    study = Study(QUICK, (Axis("units", (8, 16)), Axis("cell", ("lstm", "gru"))), seeds=3)
    expected = {QUICK.model_copy(update={"units": units, "cell": cell, "seed": seed}).run_id
                for units in (8, 16) for cell in ("lstm", "gru") for seed in (0, 1, 2)}
    assert {trial.config.run_id for trial in study.trials()} == expected
    assert study.num_runs == len(list(study.trials())) == 12


def test_each_setting_has_its_first_seed_before_any_has_its_second():
    trials = list(Study(QUICK, (Axis("units", (8, 16, 32)),), seeds=2).trials())
    assert [(trial.place, trial.config.seed) for trial in trials] == [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]


def test_seeds_begin_at_the_seed_of_the_base():
    base = QUICK.model_copy(update={"seed": 7})
    assert [trial.config.seed for trial in Study(base, (Axis("units", (8,)),), seeds=2).trials()] == [7, 8]


def test_the_same_question_has_the_same_id_and_another_one_has_another():
    study = Study(QUICK, (Axis("units", (8, 16)),))
    assert Study.from_json(study.to_json()) == study
    assert Study.from_json(study.to_json()).study_id == study.study_id
    others = [Study(QUICK, (Axis("units", (16, 8)),)), study.with_seeds(6), Study(QUICK, study.over, tune=True)]
    assert len({each.study_id for each in (study, *others)}) == 4


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"base": {}, "over": 3, "seeds": 1, "tune": false}'])
def test_what_is_no_study_is_refused_in_a_line(text: str):
    with pytest.raises(ValueError, match=r"."):
        Study.from_json(text)


def test_seeds_that_do_not_exist_or_tune_the_rate_are_refused_in_words():
    axis = (Axis("units", (8, 16)),)
    late = QUICK.model_copy(update={"seed": 2**31 - 3})
    assert len(list(Study(late, axis, seeds=3).trials())) == 6
    with pytest.raises(ValueError, match="room for 4 seeds up to 2,147,483,647; received 2,147,483,645"):
        Study(late, axis, seeds=4)
    tuning = QUICK.model_copy(update={"seed": FIRST_TUNING_SEED - 4})
    assert Study(tuning, axis, seeds=4, tune=True).num_runs == 24
    assert Study(tuning, axis, seeds=5).num_runs == 10
    with pytest.raises(ValueError, match="seed must keep the study away from the seeds 1,000,000 and 1,000,001"):
        Study(tuning, axis, seeds=5, tune=True)


def test_more_seeds_share_the_runs_of_fewer():
    few = Study(QUICK, (Axis("units", (8, 16)),), seeds=2)
    ids = [{trial.config.run_id for trial in study.trials()} for study in (few, few.with_seeds(4))]
    assert ids[0] < ids[1]


@pytest.mark.parametrize(("text", "values"), [
    ("units=8, 16,32", (8, 16, 32)), ("units=8 16", (8, 16)), ("output_length=1-4", (1, 2, 3, 4)),
    ("learning_rate=0.001,1e-2", (0.001, 0.01)), ("stateful=true,false", (True, False)),
    ("cell=lstm,gru", ("lstm", "gru")), ("lag=0-1,3", (0, 1, 3))])
def test_values_are_read_in_the_type_of_their_field(text: str, values: tuple[object, ...]):
    assert parse_axis(text).values == values


@pytest.mark.parametrize(("over", "said"), [
    ("units", "over must be FIELD=V1,V2"), ("units=", "over must be FIELD=V1,V2"), ("=8", "is not a setting"),
    ("units=8,,16", "a value between two commas"), ("units=8,x", "units must be a whole number; received x"),
    ("units=16-8", "from a smaller to a larger"), ("units=0,8", "units must be at least 1; received 0"),
    ("units=8,8", "units must have different values"), ("seed=1,2", "a seed is chance and no setting"),
    ("text=a b", "cannot vary text"), ("depth=1,2", "depth is not a setting"),
    ("cell=lstm,transformer", "cell must be one of")])
def test_what_cannot_be_varied_is_said_with_what_to_try(over: str, said: str):
    with pytest.raises(ValueError, match=said) as refused:
        Study(QUICK, (parse_axis(over),))
    assert "Try" in str(refused.value)


def test_a_setting_that_no_network_has_is_refused_before_anything_trains():
    with pytest.raises(ValueError, match=r"stateful=true, sequences_per_epoch=4 cannot be trained"):
        Study(RunConfig(), (Axis("stateful", (True, False)), Axis("sequences_per_epoch", (1, 4))))


@pytest.mark.parametrize("many", [{"seeds": 0}, {"seeds": 201}, {"seeds": 200, "over": tuple(range(1, 20))}])
def test_too_many_and_too_few_runs_are_refused(many: dict[str, object]):
    with pytest.raises(ValueError, match="received"):
        Study(QUICK, (Axis("units", many.get("over", (8,))),), seeds=many["seeds"])


def test_settings_that_must_follow_are_named():
    config, changed = Study(RunConfig(), (Axis("input_length", (5, 10)),)).config_of({"input_length": 10}, seed=0)
    assert (config.input_length, changed) == (10, {"output_length": 10, "batch_size": 8})
    assert Study(QUICK, (Axis("units", (8,)),)).config_of({"units": 8}, seed=0)[1] == {}


def test_the_rate_is_tuned_on_seeds_that_the_study_does_not_have():
    study = Study(QUICK, (Axis("cell", ("lstm", "gru")),), seeds=3, tune=True)
    tuning = list(study.tuning_trials())
    assert len(tuning) == 2 * len(RATES) * TUNING_SEEDS
    assert study.num_runs == len(tuning) + 6
    assert not {trial.config.seed for trial in tuning} & {0, 1, 2}
    assert {trial.config.learning_rate for trial in study.trials({0: 0.01, 1: 0.03})} == {0.01, 0.03}
    assert {trial.place for trial in study.trials({1: 0.03})} == {1}
    with pytest.raises(ValueError, match="learning_rate is varied"):
        Study(QUICK, (Axis("learning_rate", (0.1,)),), tune=True)


@given(units=st.lists(st.integers(1, 64), min_size=1, max_size=3, unique=True),
       lengths=st.lists(st.integers(1, 25), min_size=1, max_size=3, unique=True), seeds=st.integers(1, 3))
def test_every_run_has_the_values_of_its_setting(units: list[int], lengths: list[int], seeds: int):
    study = Study(RunConfig(), (Axis("units", tuple(units)), Axis("input_length", tuple(lengths))), seeds)
    trials = list(study.trials())
    assert len({trial.config.run_id for trial in trials}) == study.num_runs
    for trial in trials:
        setting = study.settings[trial.place]
        assert {name: getattr(trial.config, name) for name in setting} == setting
