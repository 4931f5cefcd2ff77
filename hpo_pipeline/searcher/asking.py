"""A searcher, held to its interface at every call, and kept from making anybody wait."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from typing import Any

from hpo_pipeline.checks import is_integer
from hpo_pipeline.errors import ComponentError, asked
from hpo_pipeline.evaluation import Evaluation
from hpo_pipeline.searcher import NOT_READY, NoTrial, Searcher, Suggestion
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Job, StateChange

_GRACE_SECONDS = 0.005
"""A suggestion that takes no longer is waited for: to come back for it would take as long."""


class AskedSearcher:
    """Passes calls on to a searcher, and its answers back if they are what `Searcher` promises.

    Once `beside` was called, a suggestion is computed in a thread. While that is at work the answer is NOT_READY, and
    what the searcher is to hear is kept back: so what a suggestion follows from is what was heard before it was asked
    for, and the searcher never has two threads in it.

    Raises:
        ComponentError: by any method: the searcher doesn't keep to its interface.
    """

    def __init__(self, searcher: Searcher, space: SearchSpace) -> None:
        self._searcher = searcher
        self._space = space
        self._wake: Callable[[], None] | None = None
        self._asked: tuple[int, int] | None = None
        self._answer: Future[object] | None = None
        self._unheard: deque[tuple[str, Any]] = deque()

    def beside(self, wake: Callable[[], None]) -> None:
        """From now on suggestions are computed beside the caller; `wake` is called when one is there that was not."""
        self._wake = wake

    @property
    def at_work(self) -> bool:
        """Whether a suggestion is being computed, or has been and wasn't fetched."""
        return self._answer is not None

    def wait(self, timeout: float | None = None) -> None:
        """Blocks until the suggestion that is being computed is there, or `timeout` seconds are over."""
        if self._answer is not None:
            wait([self._answer], timeout)

    @property
    def exhausted(self) -> bool:
        return bool(self._searcher.exhausted)

    def describe(self) -> str:
        return self._searcher.describe()

    def suggest(self, trial_id: int, first_rung: int) -> Suggestion | NoTrial:
        """The searcher's answer; NOT_READY as long as it is being computed."""
        if self._wake is None:
            return self._checked(asked(self._searcher, "suggest", trial_id, first_rung))
        if self._answer is None:
            self._asked = trial_id, first_rung
            self._answer = self._computed(trial_id, first_rung, self._wake)
        if not self._answer.done():
            return NOT_READY
        answer, is_other = self._answer, self._asked != (trial_id, first_rung)
        self._answer = None
        self._hear()
        return self.suggest(trial_id, first_rung) if is_other else self._checked(answer.result())

    def _computed(self, trial_id: int, first_rung: int, wake: Callable[[], None]) -> Future[object]:
        answer: Future[object] = Future()

        def compute() -> None:
            try:
                answer.set_result(asked(self._searcher, "suggest", trial_id, first_rung))
            except BaseException as error:
                answer.set_exception(error)

        threading.Thread(target=compute, name="searcher", daemon=True).start()
        try:
            answer.exception(_GRACE_SECONDS)
        except TimeoutError:
            answer.add_done_callback(lambda _: wake())
        return answer

    def on_submitted(self, job: Job) -> None:
        self._tell("on_submitted", job)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        self._tell("on_evaluation", evaluation)

    def on_state(self, change: StateChange) -> None:
        self._tell("on_state", change)

    def _tell(self, method: str, what: Any) -> None:
        self._unheard.append((method, what))
        if self._answer is None or self._answer.done():
            self._hear()

    def _hear(self) -> None:
        while self._unheard:
            asked(self._searcher, *self._unheard.popleft())

    def _checked(self, answer: object) -> Suggestion | NoTrial:
        """What the searcher suggests, if it is a configuration of the space."""
        if isinstance(answer, NoTrial):
            return answer
        suggestion = answer if isinstance(answer, Suggestion) else None
        config = suggestion.config if suggestion else answer
        name = f"{type(self._searcher).__name__}.suggest"
        if not isinstance(config, Mapping):
            asks = "a mapping path -> value, NOT_READY or EXHAUSTED"
            raise ComponentError(f"{name} answered {config!r}; the interface asks for {asks}")
        if not all(isinstance(value, (bool, int, float, str, type(None))) for value in config.values()):
            asks = "plain values: bool, int, float, str or None"
            raise ComponentError(f"{name} answered {dict(config)!r}; the interface asks for {asks}")
        if problems := self._space.contains(config):
            asks = "configurations of the space"
            raise ComponentError(f"{name} answered {dict(config)!r}; the interface asks for {asks}: {problems[0]}")
        if suggestion is None:
            return Suggestion(config)
        rung = suggestion.first_rung
        if not isinstance(suggestion.origin, str) or not (rung is None or is_integer(rung, 0)):
            asks = "an origin that is text, and a first_rung that is None or a rung's number"
            raise ComponentError(f"{name} answered {suggestion!r}; the interface asks for {asks}")
        return suggestion
