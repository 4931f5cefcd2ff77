"""What a trial's code logs is in the trial's log, from the level on that Hydra's options set."""

from __future__ import annotations

import logging
import re
import threading
from pathlib import Path

import pytest
from commands import compose, run

from hpo_pipeline.executor.trial_logging import TrialLogging

CHATTY = """
import logging
log = logging.getLogger("chatty.part")
def train(config, trial):
    for epoch in trial.epochs():
        log.debug("debug %s", epoch)
        log.info("info %s", epoch)
        logging.warning("warning %s", epoch)
        trial.report(epoch, validation_error=0.5)
"""
STUDY = ("objective=train_function", "objective.function=chatty.train", "tracker=none", "name=x", "n_trials=2")
STUDY += ("+search_space.params.x={type: float, low: 0, high: 1}", "max_resource=1", "scheduler=fifo", "finalists.n=0")


@pytest.fixture(autouse=True)
def _chatty(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("chatty.py").write_text(CHATTY)
    monkeypatch.setenv("HPO_TRUST", "chatty.*")
    logging.getLogger("chatty").setLevel(logging.NOTSET)  # Hydra leaves what an earlier test has set


def logged(trial: int) -> list[str]:
    lines = Path(f"runs/x/trials/{trial}/log.txt").read_text().splitlines()
    return [found[1] for line in lines if (found := re.fullmatch(r"\[[\d :,-]+\]\[(.*)", line))]


INFO = ["chatty.part][INFO] - info 1", "root][WARNING] - warning 1"]
DEBUG = ["chatty.part][DEBUG] - debug 1", *INFO]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), INFO),
        (("hydra.verbose=true",), DEBUG),
        (("hydra.verbose=[chatty]",), DEBUG),
        (("+hydra.job_logging.loggers.chatty.level=DEBUG",), DEBUG),
        (("hydra.job_logging.root={level: WARNING}",), INFO[1:]),
    ],
    ids=["default", "verbose", "verbose logger", "a logger's level", "the root's level"],
)
def test_in_the_tuners_own_process(words, expected):
    ended = run(*STUDY, *words, "executor=serial")
    assert ended.code == 0, ended.err
    assert logged(0) == logged(1) == expected
    assert "warning 1" not in ended.out + ended.err


@pytest.mark.slow
def test_in_a_worker():
    ended = run(*STUDY, "hydra.verbose=[chatty]", "executor.n_workers=1")
    assert ended.code == 0, ended.err
    assert logged(0) == logged(1) == DEBUG


def test_levels_are_read_from_hydras_options():
    assert compose().log_levels == {"": "INFO"}
    assert compose("hydra.verbose=true").log_levels == {"": "DEBUG"}
    assert compose("hydra.verbose=a").log_levels == {"": "INFO", "a": "DEBUG"}
    assert compose("hydra/job_logging=default").log_levels == {"": "INFO"}


def test_what_other_threads_log_is_no_trials(capsys):
    root, logs = logging.getLogger(), TrialLogging({"": "INFO"})
    before = root.level, list(root.handlers), [list(handler.filters) for handler in root.handlers]
    others = logging.getLogger("others")
    begin, done = threading.Event(), threading.Event()

    def other() -> None:
        begin.wait(10)
        others.info("theirs")
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    logs.start()
    try:
        with logs.of(Path("trials/0/log.txt")):
            begin.set()
            done.wait(10)
            own = threading.Thread(target=others.info, args=("of a thread of its own",))
            own.start()
            own.join()
            others.info("surrogate \ud800")
        others.info("nobody's")
    finally:
        logs.stop()
    thread.join()
    assert (root.level, root.handlers, [handler.filters for handler in root.handlers]) == before
    text = Path("trials/0/log.txt").read_text()
    assert "of a thread of its own" in text
    assert "surrogate" in text
    assert "theirs" not in text
    assert "nobody" not in text
