"""Training code that reports by itself, one unit of resource after the other, as an objective.

Such code runs in a thread of its own, and only while `advance` waits for its next report: it stands still in between,
so that its trial can be saved, paused for as long as it takes, or ended. Its thread ends with its trial.
"""

from __future__ import annotations

import inspect
import json
import operator
import random
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_pipeline.atomic import remove
from hpo_pipeline.errors import StudyError
from hpo_pipeline.objective import Finished, Metrics, TrialSpec, real_folder
from hpo_pipeline.objective.handover import Handover
from hpo_pipeline.seeding import derived_seed

Checkpoint = Path | str | Callable[[Path], object]
"""What a trial can go on from: the path of a file or folder, or what writes one to the path that it is called with."""

_PROGRESS = "progress.json"
_SAVED = "saved"


class Trial:
    """What training code is told of its trial, and what it tells.

        for epoch in trial.epochs():
            ...
            trial.report(epoch, checkpoint=lambda path: torch.save(model.state_dict(), path), validation_error=error)

    Attributes:
        seed: the trial's own.
        resource: units done, which the checkpoint holds; 0 for a new trial.
        checkpoint: the file or folder to go on from, as it was reported; None where the training begins. It is for
            reading: the study may remove it once the next one is reported.
        max_resource: what a trial is trained to at most.
        threads: that the training may use; torch uses no more.
    """

    def __init__(self, spec: TrialSpec, threads: int, resource: int = 0, checkpoint: Path | None = None) -> None:
        self.seed = spec.seed
        self.resource = resource
        self.checkpoint = checkpoint
        self.max_resource = int(spec.config.get("max_resource", 1))
        self.threads = threads
        self._spec = spec
        self._handover: Handover[Metrics] = Handover()
        self._offered: Checkpoint | None = None
        self._fit: Any = None
        """What is trained, where the objective keeps models: it goes with the trial."""
        self._finished = ""
        """Why the trial is through with the report that it gives, if it is."""
        self._kept: tuple[int, Path | None] = (resource, checkpoint)
        """The newest checkpoint that can't change any more, and its resource."""

    @property
    def directory(self) -> Path:
        """The trial's own folder, for whatever the training writes. It stays when the study is over."""
        return self._spec.directory

    def epochs(self) -> Iterator[int]:
        """The epochs to train, from the one after the checkpoint on, as long as the trial lasts.

        At the beginning of each, the global random numbers of Python, NumPy and torch are seeded anew, from the trial's
        seed and the epoch: so they are the same after a break.

        Raises:
            RuntimeError: an epoch was not reported.
        """
        while True:
            epoch = self.resource + 1
            seed_globally(derived_seed(self.seed, "epoch", self.resource))
            yield epoch
            if self.resource < epoch:
                raise RuntimeError(f"epoch {epoch} was not reported; end it by trial.report({epoch}, …), or by yield")

    def report(self, epoch: int, /, *, checkpoint: Checkpoint | None = None, **metrics: float) -> None:
        """Tells what was measured after an epoch, and waits until the trial is to be trained on, if it is.

        Args:
            epoch: 1, 2, …: one after the other.
            checkpoint: what the trial can go on from. A function is called with a path to write a file or folder to, if
                a checkpoint is needed here; a file or folder that is there already is copied. Where there is none, the
                trial goes on from the last one there was, if it has to be loaded, and repeats what followed.

        Raises:
            ValueError: another epoch is the next.
        """
        if operator.index(epoch) != self.resource + 1:
            what = f"epoch {epoch} is reported where {self.resource + 1} is the next"
            if self.checkpoint is not None and epoch <= self.resource:
                what += "; this trial goes on from trial.checkpoint, after trial.resource epochs"
            raise ValueError(f"{what}; report each once, from 1 on")
        self._tell(checkpoint, metrics)

    def _tell(self, checkpoint: Checkpoint | None, metrics: Mapping[str, float]) -> None:
        if checkpoint is not None and not callable(checkpoint) and not Path(checkpoint).exists():
            raise FileNotFoundError(f"checkpoint={str(checkpoint)!r} is neither a file, a folder nor a function")
        self._offered = checkpoint
        self.resource += 1
        self._handover.give(dict(metrics))
        self._keep()
        seed_globally(derived_seed(self.seed, "after", self.resource))

    def _keep(self) -> None:
        """Takes a copy of the files that were reported: from here on they may change."""
        if isinstance(self._offered, (str, Path)):
            folder = real_folder(self._spec.folder) / ".reported"
            remove(folder)
            real_folder(folder)
            self._kept = self.resource, _copied(Path(self._offered), folder)
        self._offered = None

    def _hold(self) -> None:
        """Takes a copy of the checkpoint that it was loaded from: the study removes it when there is a newer one."""
        if self._offered is None and self.checkpoint is not None and self._kept[1] == self.checkpoint:
            folder = real_folder(self._spec.folder) / ".loaded"
            remove(folder)
            real_folder(folder)
            self._kept = self._kept[0], _copied(self.checkpoint, folder)

    def _write(self, folder: Path) -> int:
        """Writes the newest checkpoint into a folder; returns its resource, 0 if there is none."""
        if callable(self._offered):
            self._offered(folder / "checkpoint")
            if len(list(folder.iterdir())) != 1:
                raise StudyError(f"{_name_of(self._offered)} must write one file or folder to the path that it got")
            return self.resource
        resource, path = (self.resource, Path(self._offered)) if self._offered is not None else self._kept
        if path is not None:
            _copied(path, folder)
        return resource if path is not None else 0

    def _clear(self) -> None:
        for name in (".reported", ".loaded"):
            remove(self._spec.folder / name)


@dataclass(slots=True)
class ReportingState:
    """A trial: what its code holds, what it is told, and how many units a loaded one repeats."""

    trial: Trial
    config: Mapping[str, Any]
    behind: int = 0


class Reporting(ABC):
    """Runs `train`, which reports or yields what it measures, as an objective: one report is one unit of resource.

    Args:
        threads: that a trial may use; None leaves those of this process's torch alone, and says 1 to trials.
    """

    unit = "epoch"
    metrics: tuple[str, ...] = ()

    def __init__(self, threads: int | None = None) -> None:
        self.threads = threads or 1
        if threads is not None and "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)

    @abstractmethod
    def train(self, config: Mapping[str, Any], trial: Trial) -> Any:
        """The training of a trial, from `trial.checkpoint` on.

        It reports, or it is a generator that yields its metrics. When it returns, the trial is through.
        """

    @property
    @abstractmethod
    def name(self) -> str:
        """What people know the training code by."""

    def start(self, trial: TrialSpec) -> ReportingState:
        return ReportingState(Trial(trial, self.threads), trial.config)

    def advance(self, state: ReportingState) -> Metrics:
        """Lets the training go on to its next report.

        Raises:
            Finished: it has returned instead.
            Exception: whatever it raises.
        """
        trial = state.trial
        if not trial._handover.has_begun:
            seed_globally(trial.seed)
        answer = trial._handover.take(lambda: self._run(state))
        if answer is None:
            raise Finished(f"{self.name} has returned after {self.unit} {trial.resource}")
        trial._hold()
        return answer

    def _run(self, state: ReportingState) -> None:
        """What the trial's thread does."""
        trial = state.trial
        result = self.train(state.config, trial)
        if inspect.isgenerator(result):
            with closing(result):
                for metrics in result:
                    checkpoint, measured = self._parts(metrics, "yielded")
                    trial._tell(checkpoint, measured)
        elif trial.resource == 0:
            if result is None:
                way = "call trial.report(epoch, …) after each epoch, yield what was measured, or return it at the end"
                raise RuntimeError(f"{self.name} has returned and reported nothing; {way}")
            checkpoint, measured = self._parts(result, "returned")
            trial._finished = f"{self.name} has returned"
            trial._tell(checkpoint, measured)
        if trial.resource == 0:
            raise RuntimeError(f"{self.name} has yielded nothing; yield what was measured after each epoch")

    def _parts(self, metrics: Any, how: str) -> tuple[Checkpoint | None, dict[str, float]]:
        if not isinstance(metrics, Mapping):
            kind = "None" if metrics is None else f"a {type(metrics).__name__}"
            raise TypeError(f"{self.name} {how} {kind}, where a mapping of names to numbers is needed")
        return metrics.get("checkpoint"), {name: value for name, value in metrics.items() if name != "checkpoint"}

    def finished(self, state: ReportingState) -> str:
        return state.trial._finished

    def save(self, state: ReportingState, path: Path) -> None:
        """Writes the newest checkpoint that the training has reported, if there is one, and how far that is."""
        saved = path / _SAVED
        saved.mkdir(parents=True)
        progress = {"resource": state.trial._write(saved), "reported": state.trial.resource}
        (path / _PROGRESS).write_text(json.dumps(progress))

    def load(self, trial: TrialSpec, path: Path) -> ReportingState:
        """The trial as of the newest checkpoint that its training had reported.

        Raises:
            StudyError: what is at `path` is no checkpoint of such an objective.
        """
        try:
            progress = json.loads((path / _PROGRESS).read_bytes())
            resource, reported = operator.index(progress["resource"]), operator.index(progress["reported"])
            found = sorted((path / _SAVED).iterdir())
            if not 0 <= resource <= reported or len(found) != (resource > 0):
                raise ValueError(f"{len(found)} files for {resource} of {reported} units")
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StudyError(f"{path}: not a checkpoint ({error!r}); remove it and run the trial again") from None
        made = Trial(trial, self.threads, resource, *found)
        return ReportingState(made, trial.config, behind=reported - resource)

    def behind(self, state: ReportingState) -> int:
        return state.behind

    def close(self, state: ReportingState) -> None:
        state.trial._handover.close()
        state.trial._clear()


def seed_globally(seed: int) -> None:
    """Seeds the global random numbers of Python and, where they are loaded, of NumPy and torch.

    For people's own code; nothing here draws from them.
    """
    random.seed(seed)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _copied(source: Path, folder: Path) -> Path:
    """A copy of the file or folder, under its own name."""
    target = folder / source.name
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    return target


def _name_of(function: Callable[..., object]) -> str:
    return getattr(function, "__qualname__", type(function).__name__)
