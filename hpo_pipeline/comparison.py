"""Studies compared as methods of several seeds each.

comparison = compare("runs/asha-0", "runs/asha-1", "runs/fifo-0", "runs/fifo-1")
comparison.table, comparison.write("comparison.html")
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hpo_pipeline.analysis.anytime import anytime
from hpo_pipeline.analysis.comparable import Member, Source, common_metric, notes, refuse_copies, refuse_others
from hpo_pipeline.analysis.comparison import Method, MethodComparison, default_target
from hpo_pipeline.analysis.job_log import JobLog
from hpo_pipeline.analysis.methods import chosen_keys, differing, names, settings, signature, usual_name
from hpo_pipeline.errors import StudyError, one_line
from hpo_pipeline.evaluation import Metric
from hpo_pipeline.saved_study import load_study

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Comparison:
    """What came out of comparing studies.

    Attributes:
        found: all its numbers.
    """

    found: MethodComparison

    @property
    def table(self) -> pd.DataFrame:
        """One row a method, the best one first."""
        from hpo_pipeline.report.comparison.rows import frame

        return frame(self.found)

    @property
    def studies(self) -> pd.DataFrame:
        """One row a study, with its method and seed."""
        from hpo_pipeline.report.comparison.rows import studies_frame

        return studies_frame(self.found)

    @property
    def ranks(self) -> pd.DataFrame:
        """Average ranks at shares of what all methods spent, one row a method and budget."""
        from hpo_pipeline.report.comparison.rows import ranks_frame

        return ranks_frame(self.found)

    def write(self, path: str | os.PathLike[str] = "comparison.html") -> Path:
        """Writes it as one page that opens offline; returns its path.

        Raises:
            OSError: it can't be written.
        """
        from hpo_pipeline.report.comparison.page import write_page

        return write_page(self.found, Path(path))

    def __repr__(self) -> str:
        names = ", ".join(method.name for method in self.found.methods)
        return f"<Comparison by {one_line(str(self.found.metric))}: {names}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from hpo_pipeline.report.comparison.page import notebook_html

        return notebook_html(self.found)


def compare(
    *studies: str | os.PathLike[str],
    by: str | Sequence[str] = (),
    metric: str | None = None,
    mode: str | None = None,
    target: float | None = None,
) -> Comparison:
    """Compares studies: what differs between their configs makes methods of them, of several seeds each.

    Args:
        studies: their folders, or what `load_study` and `tune` return.
        by: the keys of the config that make a method, "scheduler" or "scheduler.eta"; by default all that differ.
        metric: another one than their first.
        mode: "min" or "max", of a metric that they only report.
        target: the value that is to be reached; by default the worst method's final median.

    Raises:
        StudyError: they can't be compared, or one of them can't be read.
    """
    sources = [source_of(folder) for folder in studies]
    return compare_sources(sources, [by] if isinstance(by, str) else list(by), metric, mode, target)


def source_of(folder: str | os.PathLike[str]) -> Source:
    """A study's folder, read.

    Raises:
        StudyError: there is no such study, or it can't be read.
    """
    log = JobLog()
    study = load_study(folder, hear=log.apply)
    return Source(study, log, one_line(str(study.folder)), study.state)


def compare_sources(
    sources: Sequence[Source], by: Sequence[str], metric: str | None, mode: str | None, target: float | None
) -> Comparison:
    """`compare`, of studies that are read already."""
    if len(sources) < 2:
        raise StudyError(f"to compare takes two studies or more, and there {'is one' if sources else 'are none'}")
    for source in sources:
        if source.study.is_training:
            raise StudyError(f"{source.where}: is a single training, and no study")
    if target is not None and not math.isfinite(target):
        raise StudyError(f"--target {target}: must be a finite value of the metric")
    refuse_copies(sources)
    by_what = common_metric(sources, metric, mode)
    told = settings([source.study.config for source in sources])
    members = [
        Member(source, own, anytime(source.study.view, source.log, by_what, source.is_over))
        for source, own in zip(sources, told, strict=True)
    ]
    return Comparison(_compared(members, by_what, by, target))


def _compared(members: list[Member], metric: Metric, by: Sequence[str], target: float | None) -> MethodComparison:
    told = [member.settings for member in members]
    groups = list(dict.fromkeys(group for member in members for group in member.study.choices))
    differ = differing(told, groups)
    keys = chosen_keys(told, by) or differ
    refuse_others(members, differ, by)
    grouped: dict[tuple[str, ...], list[Member]] = {}
    for member in members:
        # a study that doesn't say how it was made is a method by itself
        key = signature(member.settings, keys) if member.settings else (member.where,)
        grouped.setdefault(key, []).append(member)
    methods = [
        Method(name, tuple(sorted(own, key=lambda member: (str(member.seed).zfill(20), member.where))))
        for name, own in zip(_names(list(grouped.values()), keys, groups, bool(by)), grouped.values(), strict=True)
    ]
    methods.sort(key=lambda method: (method.finals[1], method.finals[0]))
    found = MethodComparison(metric, tuple(methods), tuple(keys), (), default_target(metric, methods), ())
    rest = tuple(key for key in differ if key not in keys and _differs_within(methods, key))
    said = list(notes(members, differ))
    if rest:
        said.append(f"Within a method {', '.join(map(one_line, rest[:3]))} differs: its median is over all of them.")
    return replace(found, rest=rest, target=found.target if target is None else float(target), notes=tuple(said))


def _differs_within(methods: Iterable[Method], key: str) -> bool:
    return any(len({signature(member.settings, [key]) for member in method.members}) > 1 for method in methods)


def _names(grouped: list[list[Member]], keys: list[str], groups: list[str], all_keys: bool) -> list[str]:
    firsts = [own[0] for own in grouped]
    if any(not first.settings for first in firsts):
        return [first.where for first in firsts]
    if len(grouped) == 1:
        return [usual_name(firsts[0].settings)]
    return names([first.settings for first in firsts], keys, groups, all_keys)
