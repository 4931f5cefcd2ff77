"""Objectives evaluate configurations, one unit of resource at a time. The interface is here.

`Objective` is what each of them does. What one may do besides is declared below it, a protocol for each ability; who
makes use of an ability asks for it by `isinstance`. Constructors raise a ConfigError that names what is wrong.

A trial that hangs is ended from outside, by `executor.job_timeout`; an objective that knows better how long a unit of
resource may take raises in `advance`, and that trial has failed.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from hpo_pipeline.errors import Problem, StudyError

if TYPE_CHECKING:
    from hpo_pipeline.dataset.fingerprint import DataSplit

Metrics = dict[str, float]

WORKING = "working"
"""The folder beside `files` for what an objective works with; it is removed when the trial won't go on."""


@dataclass(frozen=True, slots=True)
class TrialSpec:
    """What an objective is told of a trial that it starts or loads.

    Attributes:
        config: the composed training config with the trial's values in it: nested, plain, resolved. What the chosen
            option of `objective` leaves out of a config (`conf/objective/function.yaml`) is None there.
        seed: the trial's own (initial weights); `config["seed"]` is the study's (order of the data).
        folder: where all about the trial is kept.
    """

    config: Mapping[str, Any]
    seed: int
    folder: Path

    @property
    def directory(self) -> Path:
        """The one place that the trial's code may write to as it likes, made when it is asked for: `<folder>/files`.

        It stays when the study is over; what an objective needs only to go on is in `<folder>/working`. A trial that
        takes over another one's checkpoint gets none of its files.

        Raises:
            StudyError: it is a link, or no folder.
        """
        return real_folder(real_folder(self.folder) / "files")


def real_folder(path: Path) -> Path:
    """The folder, made if it isn't there.

    Raises:
        StudyError: it is a link, or no folder.
    """
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        if path.is_symlink() or not path.is_dir():
            raise StudyError(f"{path}: must be a folder, and no link to one; remove it") from None
    return path


class Finished(Exception):  # noqa: N818 - nothing has gone wrong
    """Raised by `advance` where there is nothing left to train: the trial is through with its last report.

    Its text says why, in a few words. The trial ends as COMPLETED.
    """


class Objective(Protocol):
    """Evaluates one configuration, and can save it, load it and go on.

        state = start(trial);  advance(state) -> {...};  save(state, path)
        state = load(trial, path);  advance(state) -> the same numbers as without the break

    Attributes:
        unit: what one unit of resource is called ("epoch").
        metrics: names of the metrics that `advance` returns in every trial, or () if they aren't known beforehand.
    """

    unit: str
    metrics: tuple[str, ...]

    def start(self, trial: TrialSpec) -> Any:
        """The state of a new trial at resource 0."""

    def advance(self, state: Any) -> Metrics:
        """Spends one more unit of resource on `state`, in place, and measures."""

    def save(self, state: Any, path: Path) -> None:
        """Writes all that `load` needs to a file or folder `path`, which isn't there yet. The caller keeps it whole."""

    def load(self, trial: TrialSpec, path: Path) -> Any:
        """The state that was saved. What is at `path` may come from a stranger: nothing in it is executed."""


@runtime_checkable
class SupportsMetricsOnDemand(Protocol):
    """Has metrics that it reports only where the config's `metric` or `constraints` name them (evaluation.names_of).

    Attributes:
        metrics_on_demand: their names, besides `metrics`.
    """

    metrics_on_demand: tuple[str, ...]


@runtime_checkable
class SupportsCheck(Protocol):
    """Looks at configs before anything starts: the composed one, and samples from the ends of the search space."""

    def problems(self, config: Mapping[str, Any]) -> Sequence[Problem | str]:
        """Everything that would keep a trial with this config from reaching `max_resource`. Fast, and without data."""


@runtime_checkable
class SupportsReported(Protocol):
    """Reports other metrics where the config is another, so that `metrics` can't name them all."""

    def reported(self, config: Mapping[str, Any]) -> Sequence[str]:
        """Names of the metrics that `advance` returns with this config; () if they aren't known. Without data.

        The config may be wrong in any way: `SupportsCheck` says so.
        """


@runtime_checkable
class SupportsModelCheck(Protocol):
    """Runs a model before anything starts: the composed one, and that of the middle of the search space."""

    def model_problems(self, config: Mapping[str, Any]) -> Sequence[Problem | str]:
        """What only running the model shows. Without data; leaves the global random state alone."""


@runtime_checkable
class SupportsData(Protocol):
    """Needs data, and makes sure of them when all else is right: once, before several workers want them at a time."""

    def available(self, config: Mapping[str, Any]) -> None:
        """Raises StudyError if there are none, ConfigError if they are wrong. May download."""


@runtime_checkable
class SupportsDataSplits(Protocol):
    """Trains on data that can be told from others; asked when they are there (`SupportsData`)."""

    def data_splits(self, config: Mapping[str, Any]) -> Sequence[DataSplit]:
        """The parts that trials use, with their digests. Reads little of them."""


@runtime_checkable
class SupportsDevices(Protocol):
    """Trains on GPUs; asked before workers are started."""

    def devices(self) -> list[str]:
        """The GPUs to spread workers over, as CUDA_VISIBLE_DEVICES names them; [] for none."""


@runtime_checkable
class SupportsTest(Protocol):
    """Has a test set; asked at the end of the one final training alone (`final=true`)."""

    def test(self, state: Any) -> Metrics:
        """Scores the test set. Tuning must never see these numbers."""


@runtime_checkable
class SupportsTarget(Protocol):
    """Is told beforehand how far a trial is to go: what is started once and trains to its end, a program, has to be."""

    def set_target(self, state: Any, units: int) -> None:
        """`advance` will be called `units` times, unless the trial fails or is stopped on the way.

        Called when a job begins: with a new state, a loaded one, and one that goes on after a pause.
        """


@runtime_checkable
class SupportsNotices(Protocol):
    """Finds out about a person's code what that person should know, when it runs."""

    def notices(self) -> list[str]:
        """What is new since the last call, in one line each. A study shows each once, however many trials find it."""


@runtime_checkable
class SupportsModel(Protocol):
    """Trains a model that can be kept as it was at its best, and made again to predict."""

    def snapshot(self, state: Any) -> Any:
        """A copy of the model as it is now; training goes on and doesn't change it. Called whenever a trial improves:
        it has to be fast."""

    def save_model(self, snapshot: Any, path: Path) -> None:
        """Writes it to a file."""

    def load_model(self, config: Mapping[str, Any], path: Path) -> Any:
        """The model, ready to predict, from the config of its trial and the file, which may come from a stranger:
        nothing in it is executed.

        Raises:
            StudyError: the file is no model of this config.
        """

    def input_shape(self, path: Path) -> tuple[int, ...] | None:
        """The shape of one example that the model in the file takes, float32; None where nobody knows."""


@runtime_checkable
class SupportsClose(Protocol):
    """Has states that hold more than memory: a process, a connection, an open file."""

    def close(self, state: Any) -> None:
        """Gives back what `state` holds: its trial is over, or goes on from a checkpoint. No call with it follows.

        A worker process that is ended closes nothing: what it has started in its process group ends with it.
        """


@runtime_checkable
class SupportsFinish(Protocol):
    """Can find that a trial is through before its job is (early stopping within a trial, a script that has ended)."""

    def finished(self, state: Any) -> str:
        """Why the trial is through, in a few words: "no better validation_error for 3 epochs"; empty while it goes on.

        Asked after each `advance`. The trial ends there as COMPLETED, is trained no more, and counts with its last
        report wherever it would have come to.
        """


@runtime_checkable
class SupportsReplay(Protocol):
    """Looks up what was recorded, and so has to know of the study around it.

    Attributes:
        space: the study's search space in one line (`recorded_study.space_text`).
        folder: the study's. Both are set before `problems` is asked.
    """

    space: str | None
    folder: str | None

    def search_space(self) -> Mapping[str, Any] | None:
        """The tree of the search space that the recorded trials come from: the study's, if it names none.

        Raises:
            ConfigError: what was recorded can't be read; `problems` says it as well.
        """

    def keep(self, folder: Path) -> None:
        """Keeps in the study's folder what a resumed study needs to find as it was."""


@runtime_checkable
class SupportsRepeats(Protocol):
    """May have saved an earlier state than it was asked to: code of people's own that has kept no later one."""

    def behind(self, state: Any) -> int:
        """How many units a state that was just loaded lacks to where it was saved. They are spent again."""


@runtime_checkable
class SupportsPacks(Protocol):
    """Can advance several trials as one program, a pack, to the same numbers as alone (`executor=fused`)."""

    def pack_key(self, state: Any) -> Hashable | None:
        """Equal for trials that can be in one pack; None for one that can only be trained alone."""

    def advance_pack(self, states: Sequence[Any]) -> list[Metrics]:
        """`advance` for trials with one `pack_key`, in their order."""

    def pack_gain(self, states: Sequence[Any]) -> float:
        """How many times as fast these trials are together as one by one, measured on copies."""

    def pack_cost(self, states: Sequence[Any]) -> Any:
        """What packs of trials like these cost by their size, measured on copies; see `packed`."""


@runtime_checkable
class SupportsWhyAlone(Protocol):
    """Trains packs, and can tell why a trial is in none."""

    def why_alone(self, state: Any) -> str:
        """Why `pack_key` is None, for people; said once in a study for each reason."""
