"""Trackers show what happened. The interfaces are here: what a config names, and what writes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from hpo_pipeline.errors import Problem
from hpo_pipeline.evaluation import Metric
from hpo_pipeline.records import Record
from hpo_pipeline.searcher.earlier import EarlierStudy


class StoreDownError(Exception):
    """What is written to doesn't answer, or not now: try again."""


class LostError(Exception):
    """What was written is no longer there (deleted by somebody): write again, from the beginning."""


class UnusableStoreError(Exception):
    """Nothing can be written without a person's help, which the message asks for."""


@runtime_checkable
class SupportsDescribe(Protocol):
    """A tracker that says where it writes, and what."""

    def describe(self) -> str:
        """One line, for people: without passwords."""


class Writer(Protocol):
    """Writes one study's records to one place. follower.py calls it, in a thread of its own:

        open(study) == "812:0a1b2c3d"
        take(record, held=True); ...                            what is there already, up to that position
        take(record, held=False); ...; write("1024:9f8e7d6c")   a window; and so on
        close() == "MLflow: http://…"

    Any of these but `take` may raise StoreDownError, and is called again later; or LostError, and all begins anew with
    `open`; or UnusableStoreError, and that was all. A running study notices nothing of it.

    Attributes:
        name: of the place, for people.
        window: seconds between two looks at the journal. What happened meanwhile is written together.
    """

    name: str
    window: float

    def open(self, study: Record) -> str:
        """Connects, for as long as that takes; what was taken before is forgotten.

        Returns:
            The position that the last `write` of this study has noted in this place; empty if there was none.

        Args:
            study: the journal's latest `study` record: a copied study has one of its own after the original's, and all
                that the journal holds is this one's.
        """

    def take(self, record: Record, *, held: bool) -> None:
        """The next record of the journal, in order; nothing is written yet.

        Args:
            held: it is there already, and only has to be known for what follows. Where already the first isn't, all is
                written anew, whatever is there.
        """

    def write(self, position: str) -> Iterable[int | None]:
        """Writes what the records since the last `write` add, and notes `position` with the last of it.

        After a failure it goes on where it was, or writes again what makes no difference when it is there twice.

        Yields:
            The id of a trial of which everything is written, or None, as a sign of progress.
        """

    def close(self) -> str:
        """Makes sure that everything is there; returns lines for people: where to look."""

    def masked(self, text: str) -> str:
        """The text of an unexpected error without passwords."""


class Tracker(Protocol):
    """A place where studies and trainings are shown, as a config describes it. Nothing is opened when it is made."""

    def problems(self) -> list[Problem]:
        """Why nothing can be written now; before anything starts.

        It takes a few seconds at most, changes nothing and creates nothing.
        """

    def writer(self, folder: Path, config: Mapping[str, Any], commands: Mapping[str, str]) -> Writer | None:
        """What writes the study in `folder`; None if nothing is to be written. It opens nothing yet.

        Args:
            folder: holds journal.jsonl and, in time, config.yaml, best.yaml, leaderboard.csv, plots/.
            config: the composed config as it may be shown: nested, plain, resolved but for secrets.
            commands: "resume" -> the command line that goes on with this study; "train" -> the beginning of the
                one that re-runs a trial, to which the trial's own overrides are added.
        """


@runtime_checkable
class HoldsStudies(Protocol):
    """A tracker that studies can be read from again."""

    def studies(self, name: str, metric: Metric) -> Sequence[EarlierStudy]:
        """The studies of an experiment, by the best of `metric` in each trial; none if there is no such experiment.

        Raises:
            ConfigError: it can't be read.
        """


@runtime_checkable
class RegistersModels(Protocol):
    """A tracker with a registry: it gets the root key `register`, and registers the best model under that name.

    Attributes:
        register: the name; None: register nothing.
    """

    register: str | None


def registry_problems(name: Any, trackers: Sequence[object]) -> list[Problem]:
    """What is wrong with the root key `register`, where these are the trackers, as far as they could be made."""
    if name is None:
        return []
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w .-]{0,249}", name):
        return [Problem("register", "must be a name of letters, digits, space, '-', '_' and '.', or null", name)]
    if trackers and not any(isinstance(each, RegistersModels) for each in trackers):
        return [Problem("register", "needs a tracker that has a registry of models, such as tracker=mlflow")]
    return []


def tracker_nodes(config: Mapping[str, Any]) -> dict[str, Any]:
    """Path -> what stands there, of a config's tracker; several (`tracker=[mlflow,csv]`) have a key each."""
    node = config.get("tracker")
    if not isinstance(node, Mapping) or "_target_" in node or not any(isinstance(v, Mapping) for v in node.values()):
        return {"tracker": node}
    return {f"tracker.{name}": each for name, each in node.items()}
