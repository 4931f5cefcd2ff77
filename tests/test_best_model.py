"""What a study and a training leave of their best model, and what `load_model` makes of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from commands import DIGITS, FREE, journal, run
from heard import folded

pytest.importorskip("torch")

import torch

import hpo_pipeline
from hpo_pipeline.dataset.digits import Digits
from hpo_pipeline.errors import StudyError

HALVING = ("scheduler=asha", "scheduler.eta=2", "scheduler.fill_rungs=false", "scheduler.leaders=null")
STUDY = (
    *DIGITS,
    *HALVING,
    "scheduler.early_eta=null",
    "searcher=random",
    "max_resource=4",
    "n_trials=3",
    "finalists.n=1",
)
"""Its search ends with a best trial of 2 epochs."""


def measured(
    model: torch.nn.Module, x: torch.Tensor | None = None, y: torch.Tensor | None = None
) -> tuple[float, float]:
    """Error and mean cross-entropy, of the digits' validation data or others."""
    if x is None or y is None:
        data = Digits().load()
        x, y = data.x_validation, data.y_validation
    with torch.no_grad():
        scores = model(x)
    wrong = int((scores.argmax(1) != y).sum())
    return wrong / len(y), float(torch.nn.functional.cross_entropy(scores.double(), y))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with finalists and seeds, and a training of its winner."""
    folder = tmp_path_factory.mktemp("finished")
    before = Path.cwd()
    os.chdir(folder)
    try:
        ended = run(*STUDY, "name=s", "finalists.seeds=1")
        assert ended.code == 0, ended.err + ended.out
        (folder / "out.txt").write_text(ended.out)
    finally:
        os.chdir(before)
    return folder / "runs"


@pytest.fixture
def study(finished: Path) -> Path:
    """A copy of that study."""
    return Path(shutil.copytree(finished / "s", "runs/s"))


def test_the_model_of_a_study_measures_what_the_study_did(study):
    winner = folded(journal("s")).winner
    model = hpo_pipeline.load_model(study)
    assert not model.training
    error, loss = measured(model)
    reported = winner.at(winner.best_resource)
    assert error == reported["validation_error"]
    assert loss == pytest.approx(reported["validation_loss"], rel=1e-6)
    told = json.loads((study / "best" / "metrics.json").read_text())
    assert (told["trial"], told["resource"], told["metrics"]) == (winner.id, winner.best_resource, reported)
    assert winner.resource == 4


def test_the_mean_over_the_seeds_is_told_with_its_standard_error(study):
    view = folded(journal("s"))
    over = view.over_seeds(view.winner)
    told = json.loads((study / "best" / "metrics.json").read_text())["seeds"]
    assert told == {
        "metric": "validation_error",
        "n": 2,
        "values": list(over.values),
        "mean": sum(over.values) / 2,
        "standard_error": pytest.approx(abs(over.values[0] - over.values[1]) / 2),  # s / sqrt(2), s = |a - b| / sqrt(2)
    }


def test_weights_are_kept_of_trials_that_can_win_alone(study):
    kept = {path.parent.name for path in study.glob("trials/*/*.best")}
    assert kept == {path.parent.name for path in study.glob("trials/*/*.ckpt")}
    assert len(list(study.glob("trials/*/*.best"))) == len(kept)


def test_the_end_says_how_to_load_it(finished):
    line = next(line for line in (finished.parent / "out.txt").read_text().splitlines() if "load_model" in line)
    assert line == "The best model is in runs/s/best: hpo_pipeline.load_model('runs/s')"


def test_a_training_leaves_the_same(study):
    winner = folded(journal("s")).winner
    values = (f"{path}={value!r}" for path, value in winner.best_config.items())
    options = ("dataset=digits", "model=softmax", "tracker=none", "max_resource=4", f"trial={winner.id}", "name=t")
    ended = run(*options, *values, program="train")
    assert ended.code == 0, ended.err
    assert "hpo_pipeline.load_model('runs/t')" in ended.out
    first, again = hpo_pipeline.load_model("runs/s").state_dict(), hpo_pipeline.load_model("runs/t").state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    told = json.loads(Path("runs/t/best/metrics.json").read_text())
    assert told["resource"] == winner.best_resource


def test_a_final_training_keeps_its_last_model_with_the_test_metrics():
    options = ("dataset=digits", "model=softmax", "tracker=none", "max_resource=2", "final=true", "name=t")
    assert run(*options, program="train").code == 0
    told = json.loads(Path("runs/t/best/metrics.json").read_text())
    assert told["resource"] == 2
    assert told["metrics"].keys() >= {"train_loss", "test_error", "test_loss"}
    assert "validation_error" not in told["metrics"]
    x, y = Digits().load_test()
    assert measured(hpo_pipeline.load_model("runs/t"), x, y)[0] == told["metrics"]["test_error"]


@pytest.mark.parametrize("executor", ["serial", "fused"])
@pytest.mark.parametrize("scheduler", ["pbt", "fifo"])
def test_whoever_trains_and_wherever_it_was_cut_off_the_model_is_that_of_the_best_report(executor, scheduler):
    options = [*DIGITS, f"scheduler={scheduler}", f"executor={executor}", "searcher=random", "max_resource=3"]
    options += ["n_trials=4", "name=s"] + ["scheduler.population=4"] * (scheduler == "pbt")
    options += ["executor.n_workers=1", "executor.pack_size=4"] * (executor == "fused")
    assert run(*options, "max_total_resource=5").code == 0
    assert run("name=s", "resume=true", "max_total_resource=null").code == 0
    view = folded(journal("s"))
    reported = view.winner.at(view.winner.best_resource)
    error, loss = measured(hpo_pipeline.load_model("runs/s"))
    assert error == reported["validation_error"]
    assert loss == pytest.approx(reported["validation_loss"], rel=1e-5)  # a pack sums in another order


def test_a_study_whose_objective_has_no_model_leaves_none():
    assert run(*FREE, "name=f", "n_trials=2", "max_resource=3").code == 0
    assert not Path("runs/f/best").exists()
    with pytest.raises(StudyError, match=r"^runs/f: holds no model: it is not over, or its objective keeps none"):
        hpo_pipeline.load_model("runs/f")


# -- what can't be loaded, in one line each ----------------------------------------------------------------------------


def refused(folder: str | Path = "runs/s") -> str:
    with pytest.raises(StudyError) as raised:
        hpo_pipeline.load_model(folder)
    message = str(raised.value)
    assert "\n" not in message
    return message


def test_a_folder_that_is_not_there_is_named_with_its_neighbour(study):
    assert refused("runs/ss") == "runs/ss: there is no such folder; did you mean 's'?"
    assert refused("runs") == "runs: is no study's folder, as there is no journal.jsonl in it; studies there: s"


def test_a_later_version_is_told_apart(study):
    path = study / "best" / "model.pt"
    torch.save({**torch.load(path, weights_only=True), "format": 2}, path)
    assert refused() == f"{path}: was written by a later hpo_pipeline (format 2, not 1); update it"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"garbage" * 100])
def test_damaged_weights_are_refused(study, content):
    (study / "best" / "model.pt").write_bytes(content)
    assert "model.pt: can't be read" in refused()


def test_weights_of_another_model_are_refused(study):
    text = (study / "best" / "config.yaml").read_text()
    (study / "best" / "config.yaml").write_text(text.replace("model.softmax.Softmax", "model.mlp.MLP"))
    assert "does not fit the model of its config" in refused()


def test_a_lost_model_is_said_at_the_end(study):
    for path in study.glob("trials/*/*.best"):
        path.unlink()
    ended = run("name=s", "resume=true")
    assert "wasn't kept" in ended.out
    assert not (study / "best").exists()


def test_a_simulated_study_says_that_it_keeps_no_model():
    ended = run(*DIGITS, "executor=simulated", "n_trials=1", "max_resource=1", "name=s")
    assert ended.code == 0, ended.err
    assert "wasn't kept: executor=simulated keeps none; train it again" in ended.out
