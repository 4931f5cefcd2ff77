"""Functions that train: one report at a time, saved and gone on with, ended wherever they are."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import train_functions

from hpo_pipeline import trust
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.interrupt import time_limit
from hpo_pipeline.objective import Finished, TrialSpec
from hpo_pipeline.objective.train_function import TrainFunction
from hpo_pipeline.testing import check_objective

CONFIG = {"params": {"lr": 0.1}, "max_resource": 9}


def spec(seed: int = 5, folder: str = "trials/3") -> TrialSpec:
    return TrialSpec(CONFIG, seed, Path(folder))


def made(name: str) -> TrainFunction:
    trust.trust((train_functions.__name__,))
    return TrainFunction(f"{train_functions.__name__}.{name}")


def losses(objective: TrainFunction, state: Any, n: int) -> list[float]:
    return [objective.advance(state)["loss"] for _ in range(n)]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize("name", ["loop", "generator", "by_file", "forgetful"])
def test_a_function_is_trained_one_report_at_a_time(name):
    objective = made(name)
    state = objective.start(spec())
    for epoch in range(1, 4):
        assert list(objective.advance(state)) == ["loss"]
        assert Path("trials/3/files/epochs").read_text() == "".join(f"{i} " for i in range(1, epoch + 1))
    objective.close(state)


@pytest.mark.parametrize(("name", "behind"), [("loop", 0), ("generator", 0), ("by_file", 1), ("forgetful", 3)])
def test_a_trial_goes_on_from_what_its_function_has_kept_and_repeats_the_rest_to_the_same_numbers(name, behind):
    objective = made(name)
    whole = objective.start(spec())
    expected = losses(objective, whole, 6)
    objective.close(whole)
    first = objective.start(spec(folder="trials/4"))
    assert losses(objective, first, 3) == expected[:3]
    objective.save(first, Path("saved"))
    objective.close(first)
    again = objective.load(spec(folder="trials/5"), Path("saved"))
    assert objective.behind(again) == behind
    assert losses(objective, again, 3 + behind) == expected[3 - behind :]
    objective.close(again)


def test_trials_in_one_process_do_not_disturb_each_others_random_numbers():
    objective = made("loop")
    alone = objective.start(spec())
    expected = losses(objective, alone, 3)
    one, other = objective.start(spec()), objective.start(spec(6, "trials/6"))
    for loss in expected:
        objective.advance(other)
        assert objective.advance(one)["loss"] == loss
    for state in (alone, one, other):
        objective.close(state)


def test_a_file_that_changes_after_it_was_reported_is_kept_as_it_was():
    objective = made("by_file")
    state = objective.start(spec())
    at = losses(objective, state, 3)[1]
    assert Path("trials/3/files/last.json").read_text() != repr(at)  # the third epoch's
    objective.save(state, Path("saved"))
    assert [path.read_text() for path in Path("saved/saved").iterdir()] == [repr(at)]
    objective.close(state)


def test_a_checkpoint_outlives_the_one_that_it_was_loaded_from():
    objective = made("by_file")
    first = objective.start(spec())
    losses(objective, first, 2)
    objective.save(first, Path("first"))
    objective.close(first)
    second = objective.load(spec(), Path("first"))
    objective.advance(second)
    Path("first").rename("gone")
    objective.save(second, Path("second"))
    objective.close(second)
    assert objective.behind(objective.load(spec(), Path("second"))) == 1


def test_a_function_that_returns_is_through():
    objective = made("three_epochs")
    state = objective.start(spec())
    losses(objective, state, 3)
    assert objective.finished(state) == ""
    for _ in range(2):
        with pytest.raises(Finished, match=r"train_functions\.three_epochs has returned after epoch 3"):
            objective.advance(state)
    objective.close(state)


def test_what_a_function_returns_is_its_only_report():
    objective = made("one_value")
    state = objective.start(spec())
    assert objective.advance(state) == {"loss": 0.1}
    assert objective.finished(state) == "train_functions.one_value has returned"
    objective.close(state)


@pytest.mark.parametrize(
    ("name", "n", "kind", "message"),
    [
        ("nothing", 0, RuntimeError, r"nothing has returned and reported nothing; call trial.report\(epoch, …\)"),
        ("no_yield", 0, RuntimeError, "no_yield has yielded nothing"),
        ("a_number", 0, TypeError, "a_number returned a float, where a mapping of names to numbers is needed"),
        ("yields_none", 0, TypeError, "yields_none yielded None"),
        ("twice", 1, ValueError, "epoch 1 is reported where 2 is the next"),
        ("from_zero", 0, ValueError, "epoch 0 is reported where 1 is the next; report each once, from 1 on"),
        ("skips_an_epoch", 1, RuntimeError, r"epoch 2 was not reported; end it by trial.report\(2, …\), or by yield"),
        ("no_such_file", 0, FileNotFoundError, "checkpoint='nowhere.pt' is neither a file, a folder nor a function"),
        ("raises", 1, ValueError, "no such luck"),
        ("interrupts", 0, KeyboardInterrupt, None),
    ],
)
def test_a_function_that_does_not_keep_to_the_rules_fails_with_what_they_are(name, n, kind, message):
    objective = made(name)
    state = objective.start(spec())
    losses(objective, state, n)
    with pytest.raises(kind, match=message):
        objective.advance(state)
    objective.close(state)


def test_a_function_that_begins_again_though_it_has_a_checkpoint_is_told():
    objective = made("always_from_one")
    state = objective.start(spec())
    losses(objective, state, 2)
    objective.save(state, Path("saved"))
    objective.close(state)
    again = objective.load(spec(), Path("saved"))
    with pytest.raises(
        ValueError, match=r"epoch 1 is reported where 3 is the next; this trial goes on from trial.chec"
    ):
        objective.advance(again)
    objective.close(again)


def test_a_save_that_writes_nothing_is_an_error_of_the_function():
    objective = made("writes_nothing")
    state = objective.start(spec())
    objective.advance(state)
    with pytest.raises(StudyError, match="must write one file or folder to the path that it got"):
        objective.save(state, Path("saved"))
    objective.close(state)


@pytest.mark.parametrize("name", ["tidies_up", "tidies_up_generator", "clings"])
def test_the_end_of_a_trial_ends_its_function_where_it_reports(name):
    objective = made(name)
    state = objective.start(spec())
    losses(objective, state, 2)
    objective.close(state)
    objective.close(state)
    assert [path.name for path in Path("trials/3/files").iterdir()] == ["tidied"]


def test_a_time_limit_ends_a_function_in_the_midst_of_its_work():
    objective = made("busy")
    state = objective.start(spec())
    objective.advance(state)
    with pytest.raises(TimeoutError), time_limit(0.05, TimeoutError()):
        objective.advance(state)
    objective.close(state)
    assert Path("trials/3/files/tidied").exists()


def test_a_trial_that_never_began_has_nothing_to_close():
    objective = made("loop")
    objective.close(objective.start(spec()))


@pytest.mark.parametrize(
    "content", [None, "", "{}", '{"resource": 1, "reported": 0}', '{"resource": 1, "reported": 1}']
)
def test_what_is_no_checkpoint_is_refused_by_its_name(content):
    Path("saved/saved").mkdir(parents=True)
    if content is not None:
        Path("saved/progress.json").write_text(content)
    with pytest.raises(StudyError, match="saved: not a checkpoint"):
        made("loop").load(spec(), Path("saved"))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (None, "name your function: objective.function=my_module.train, and trust it"),
        ("os.system", "'os.system' is not on the trust list"),
        ("train_functions.lop", "did you mean 'loop'"),
        ("train_functions.of_one", r"must take \(config, trial\), it takes \(config: 'Config'\)"),
        ("train_functions.plain", "for one like this there is objective=function"),
        ("train_functions.asynchronous", "and be no async function"),
        ("train_functions.Trial", "which is not on the trust list"),
    ],
)
def test_what_can_not_be_called_is_refused_beforehand(function, message):
    trust.trust(("train_functions",))
    with pytest.raises(ConfigError, match=f"^function: .*{message}"):
        TrainFunction(function)


def test_a_function_trains_with_as_many_threads_as_it_may():
    import torch

    before = torch.get_num_threads()
    try:
        trust.trust((train_functions.__name__,))
        objective = TrainFunction("train_functions.reports_threads", threads=3)
        state = objective.start(spec())
        metrics = objective.advance(state)
        objective.close(state)
    finally:
        torch.set_num_threads(before)
    assert (metrics["loss"], metrics["threads"]) == (3, 3)


@pytest.mark.parametrize("name", ["loop", "generator"])
def test_functions_that_keep_checkpoints_hold_to_the_contract_of_objectives(name):
    check_objective(lambda: made(name), CONFIG)
