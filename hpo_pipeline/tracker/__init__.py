"""Trackers show what happened. The interface is here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hpo_pipeline.errors import Problem


@dataclass(frozen=True, slots=True)
class Closed:
    """What a tracker says when it is closed.

    Attributes:
        complete: it shows everything that the journal has.
        text: lines for people: where to look, or what is missing and the command that completes it.
    """

    complete: bool
    text: str = ""


class Tracker(Protocol):
    """Shows a study somewhere else while it runs, from its journal: it is told where that is, not what is in it.

        problems() == []; start(folder, plain_config, commands); ...; close(patience=60, show=print) -> Closed(True, …)

    A tracker never makes a running study wait or fail.
    """

    def problems(self) -> list[Problem]:
        """Why nothing can be shown now; before anything starts.

        It takes a few seconds at most, changes nothing and creates nothing.
        """
        ...

    def start(self, folder: Path, config: dict[str, Any], commands: dict[str, str]) -> None:
        """The study in `folder` begins or is resumed.

        Args:
            folder: holds journal.jsonl and, in time, config.yaml, best.yaml, leaderboard.csv, plots/.
            config: the composed study config as it may be shown: nested, plain, resolved but for secrets.
            commands: "resume" -> the command line that goes on with this study; "train" -> the beginning of the
                one that re-runs a trial, to which the trial's own overrides are added.
        """
        ...

    def close(self, patience: float, show: Callable[[str], None]) -> Closed:
        """The session has ended: shows what is left, for as long as that makes progress. Ctrl-C ends it at once.

        Args:
            patience: seconds without progress after which it gives up.
            show: called now and then with a line on how far it is.
        """
        ...
