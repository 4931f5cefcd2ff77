"""The main job through the real command line: real processes, real training, a real MLflow store, real signals."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
from commands import RungTable, journal, run, rung_table, start, wait_for

pytestmark = pytest.mark.slow

HALVING = (
    "scheduler=successive_halving",
    "searcher=random",  # of several workers, a searcher that learns hears results in another order each time
    "scheduler.eta=2",
    "scheduler.min_resource=1",
    "scheduler.max_resource=16",
    "model=softmax",
    "dataset=digits",
    "n_trials=16",
    "seed=0",
    "finalists.n=0",
)
UNTRACKED = (*HALVING, "dataset.batch_size=64", "~search_space.dataset")
STUDY = (*UNTRACKED, "tracker.saved_view=false", "tracker.log_model=false")


POOLS = {
    "process": ("executor.n_workers=2",),
    "fused": ("executor=fused", "executor.n_workers=2", "executor.pack_size=4"),
}


@pytest.fixture(params=POOLS)
def pool(request) -> tuple[str, ...]:
    return POOLS[request.param]


def same(table: RungTable, other: RungTable, pool: tuple[str, ...]) -> bool:
    """To the last digit; what was trained together, up to rounding, which is less than one example of 297 here."""
    if pool == POOLS["process"]:
        return table == other
    values = [{place: {i: float(v) for i, v in row.items()} for place, row in t.items()} for t in (table, other)]
    return values[0].keys() == values[1].keys() and all(
        row == pytest.approx(values[1][place], abs=1 / 297) for place, row in values[0].items()
    )


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory: pytest.TempPathFactory):
    """The rung table of an uninterrupted study in one process."""
    folder = tmp_path_factory.mktemp("one_worker")
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert run(*UNTRACKED, "tracker=none", "executor=serial", "name=whole").code == 0
        return rung_table(journal("whole"))
    finally:
        os.chdir(before)


def runs_of(study: str):
    """The parent run of a study, and its children."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, max_results=100)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    (parent,) = [run for run in parents if run.info.run_name == study]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    return client, parent, children


def rung_records(client, children) -> list[tuple[str, int, float]]:
    return sorted(
        (run.info.run_id, metric.step, metric.value)
        for run in children
        for key in run.data.metrics
        if key.startswith("rung/")
        for metric in client.get_metric_history(run.info.run_id, key)
    )


def read_until(process: subprocess.Popen[str], n_rungs: int) -> None:
    """Waits until the study has printed so many rung evaluations."""
    seen = 0
    assert process.stdout is not None
    for line in process.stdout:
        seen += "  rung " in line
        if seen == n_rungs:
            return
    pytest.fail(f"the study ended after {seen} rung evaluations: {process.stderr.read() if process.stderr else ''}")


@pytest.fixture
def gate(tmp_path, monkeypatch) -> Path:
    """A closed gate for `GatedTraining`."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    monkeypatch.setenv("GATE", str(path))
    monkeypatch.setenv("GATED_FROM", "4")
    monkeypatch.setenv("HPO_TRUST", "gated.*")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    return path


def open_gate(path: Path) -> None:
    path.unlink()
    path.touch()


def test_16_trials_make_31_rung_evaluations_in_the_journal_and_in_mlflow(one_worker, pool):
    ended = wait_for(start(*STUDY, *pool, "name=s"))
    assert ended.code == 0, ended.err
    table = rung_table(journal("s"))
    sizes = {(rung, resource): len(trials) for (_, rung, resource), trials in table.items()}
    assert sizes == {(0, 1): 16, (1, 2): 8, (2, 4): 4, (3, 8): 2, (4, 16): 1}
    client, parent, children = runs_of("s")
    assert len(children) == 16
    recorded = rung_records(client, children)
    assert sorted(step for _, step, _ in recorded) == [1] * 16 + [2] * 8 + [4] * 4 + [8] * 2 + [16]
    values = sorted(float(value) for trials in table.values() for value in trials.values())
    assert sorted(value for _, _, value in recorded) == values
    assert parent.info.status == "FINISHED"
    assert same(table, one_worker, pool), "two workers give the numbers of one"


def test_killed_at_random_moments_and_resumed_a_study_comes_to_the_same_end(one_worker, pool, gate):
    draw = random.Random(1)
    for n, n_epochs, arguments in (
        (draw.randint(1, 12), "1", (*STUDY, *pool, "objective._target_=gated.GatedTraining", "name=s")),
        (draw.randint(1, 7), "4", ("name=s", "resume=true")),  # of 12 or more that the first session can't have reached
    ):
        process = start(*arguments, GATED_FROM=n_epochs)
        read_until(process, n)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    open_gate(gate)
    ended = run("name=s", "resume=true", "executor=serial")
    assert ended.code == 0, ended.err
    assert same(rung_table(journal("s")), one_worker, pool)
    client, parent, children = runs_of("s")
    assert (parent.info.status, len(children), len(rung_records(client, children))) == ("FINISHED", 16, 31)


def test_ctrl_c_closes_everything_as_killed_and_tells_how_to_resume(one_worker, gate):
    pool = POOLS["process"]
    process = start(*STUDY, *pool, "objective._target_=gated.GatedTraining", "name=s")
    read_until(process, 9)
    os.killpg(process.pid, signal.SIGINT)
    ended = wait_for(process)
    assert ended.code == 130, ended.err
    assert "Traceback" not in ended.err
    assert journal("s")[-1]["state"] == "interrupted"
    _, parent, children = runs_of("s")
    assert parent.info.status == "KILLED"
    states = {run.info.status for run in children}
    assert states <= {"KILLED", "FINISHED"}
    (command,) = (line for line in ended.out.splitlines() if "resume=true" in line)
    open_gate(gate)
    resumed = run(*shlex.split(command)[2:], "executor=serial")
    assert resumed.code == 0, resumed.err
    assert same(rung_table(journal("s")), one_worker, pool)
    client, parent, children = runs_of("s")
    assert (parent.info.status, len(children)) == ("FINISHED", 16)
    assert len(rung_records(client, children)) == 31
