"""Whether studies can be compared: what forbids it, and what one should know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from hpo_pipeline.analysis.anytime import Anytime
from hpo_pipeline.analysis.job_log import JobLog
from hpo_pipeline.analysis.methods import BUDGET, Settings
from hpo_pipeline.errors import StudyError, nearest, one_line
from hpo_pipeline.evaluation import MODES, Metric
from hpo_pipeline.report.text import plural
from hpo_pipeline.saved_study import Study

_MOST_NAMED = 3
_SPEED = ("dataset.batch_size", "dataset.n_workers")
"""Of a dataset, what leaves the data as they are."""


@dataclass(frozen=True)
class Source:
    """A study that is to be compared.

    Attributes:
        where: what it is called in messages: its folder, or its name in MLflow.
        state: as `Study.state`, or what else is known of it.
    """

    study: Study
    log: JobLog
    where: str
    state: str

    @property
    def is_over(self) -> bool:
        """Whether it came to its end, in whatever way: nothing would follow."""
        return self.state in ("completed", "failed")


@dataclass(frozen=True)
class Member:
    """A study in a comparison.

    Attributes:
        settings: what its config says that may make it another method.
    """

    source: Source
    settings: Settings
    anytime: Anytime

    @property
    def study(self) -> Study:
        return self.source.study

    @property
    def where(self) -> str:
        return self.source.where

    @property
    def seed(self) -> object:
        return self.study.view.header.get("seed")


def refuse_copies(sources: Sequence[Source]) -> None:
    """Raises StudyError if a study is there twice, as a link or as a copied folder."""
    seen: dict[object, Source] = {}
    for source in sources:
        folder = source.study.folder.resolve()
        for key in (folder, source.study.view.header.get("id") or folder):
            other = seen.setdefault(key, source)
            if other is not source:
                raise StudyError(f"{other.where} and {source.where} are the same study, copied or linked; name one")


def common_metric(sources: Sequence[Source], name: str | None, mode: str | None) -> Metric:
    """What studies are compared by: their first metric, or the one of this name.

    Raises:
        StudyError: they have no such metric in common, or don't agree about what is better.
    """
    if mode is not None and mode not in MODES:
        raise StudyError(f"--mode {one_line(mode)}: must be {' or '.join(MODES)}")
    if name is None:
        firsts = {source.study.view.metric: source for source in sources}
        if len(firsts) > 1:
            told = ", ".join(f"{source.where} {one_line(m)}" for m, source in list(firsts.items())[:_MOST_NAMED])
            what = "have other metrics, and can't be compared"
            raise StudyError(f"these studies {what}: {told}; by one that all of them report: --metric NAME")
        name = sources[0].study.view.metric
    for source in sources:
        reported = _reported(source.study)
        if reported and name not in reported:
            known = ", ".join(map(one_line, list(reported)[:8]))
            raise StudyError(f"{source.where} reports no {one_line(name)!r}, only {known}{nearest(name, reported)}")
    modes = {m.mode: source for source in sources for m in source.study.view.metrics if m.name == name}
    if mode is None and len(modes) > 1:
        told = ", ".join(f"{mode} in {source.where}" for mode, source in modes.items())
        raise StudyError(f"{one_line(name)} is to be {told}: these studies look for opposites, and can't be compared")
    if mode is None and not modes:
        raise StudyError(
            f"--metric {one_line(name)}: no study optimises it; say what is better: --mode min, --mode max"
        )
    return Metric(name, mode or next(iter(modes)))


def _reported(study: Study) -> dict[str, None]:
    """The names of what its trials have reported, by their first reports."""
    firsts = (trial.curve[0][1] for trial in study.view.trials.values() if trial.curve)
    return dict.fromkeys(name for metrics in firsts for name in metrics)


def refuse_others(members: Sequence[Member], keys: Iterable[str], by: Sequence[str]) -> None:
    """Raises StudyError if studies differ in what they measure.

    Args:
        keys: by which they differ.
        by: those that were asked for: who names the objective wants it compared.
    """
    bounds = {", ".join(map(str, member.study.view.constraints)) or "none": member for member in members}
    if len(bounds) > 1:
        told = "; ".join(f"{one_line(what)} in {member.where}" for what, member in bounds.items())
        raise StudyError(f"these studies have other constraints, and can't be compared: {told}")
    units = {member.study.unit: member for member in members}
    if len(units) > 1:
        told = ", ".join(f"{one_line(unit)}s in {member.where}" for unit, member in units.items())
        raise StudyError(f"these studies count other units of resource, and can't be compared: {told}")
    for key in keys:
        if key.partition(".")[0] == "objective" and key not in by:
            values = {str(member.settings.get(key)): member for member in members}
            told = ", ".join(f"{one_line(value)[:80]} in {m.where}" for value, m in list(values.items())[:_MOST_NAMED])
            what = "they may measure something else; if that is what you compare"
            raise StudyError(f"{one_line(key)} differs: {told}: {what}: --by {one_line(key)}")


def notes(members: Sequence[Member], keys: Sequence[str]) -> Iterator[str]:
    """What one should know of a comparison, a line each."""
    studies = [member.study for member in members]
    roots = {key.partition(".")[0] for key in keys}
    spaces = len({repr(study.config.get("search_space")) for study in studies}) > 1
    if spaces:
        yield "They search different spaces: what is better may be the space, and not the method."
    data = [key for key in keys if key.partition(".")[0] == "dataset" and key not in _SPEED]
    if "dataset" in roots and data:
        yield f"They have different data ({', '.join(map(one_line, data[:_MOST_NAMED]))}): values are of other tasks."
    limits = [key for key in BUDGET if len({repr(study.config.get(key)) for study in studies}) > 1]
    if limits:
        yield f"They have different budgets ({', '.join(limits)}): look at the curves, rather than at the ends."
    if len({study.view.is_simulated for study in studies}) > 1:
        yield "Some ran on a simulated clock: their seconds are no others' seconds."
    if any(study.view.has_front for study in studies):
        yield "They have several metrics, and are compared by one of them alone."
    for member in members:
        if not member.anytime.is_over:
            amount = plural(round(member.anytime.end["resource"]), one_line(member.study.unit))
            yield f"{member.where} is {member.source.state}: it counts up to where it came, {amount}."
        elif not len(member.anytime.scores):
            yield f"{member.where} has no usable value: it counts as the worst."
