"""The numbers of a comparison, as frames of pandas and as JSON takes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hpo_pipeline.analysis.anytime import Spent
from hpo_pipeline.analysis.comparison import Method, MethodComparison
from hpo_pipeline.report.comparison.words import at_end, n_reached, says_something, to_target
from hpo_pipeline.report.json_lines import plain as without_wild_numbers

if TYPE_CHECKING:
    import pandas as pd

_WAYS: tuple[Spent, ...] = ("resource", "seconds")


def rows(found: MethodComparison) -> list[dict[str, Any]]:
    """One a method, the best first. What isn't there is NaN; the rank is that when all that is common was spent."""
    ranks = at_end(found).ranks
    told = says_something(found) and ranks is not None
    return [
        {
            "method": method.name,
            "studies": len(method.members),
            **_quartiles(found, method),
            "rank": float(ranks.average[i]) if told and ranks is not None else math.nan,
            **{f"{by}_to_target": _finite(to_target(found, method, by)) for by in _WAYS},
            "reached_target": n_reached(found, method),
            **{by: method.end(by) for by in _WAYS},
        }
        for i, method in enumerate(found.methods)
    ]


def _quartiles(found: MethodComparison, method: Method) -> dict[str, float]:
    low, median, high = (_finite(found.metric.value(float(score))) for score in method.finals)
    low, high = (low, high) if found.metric.mode == "min" else (high, low)
    return {"median": median, "lower_quartile": low, "upper_quartile": high}


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def study_rows(found: MethodComparison) -> list[dict[str, Any]]:
    """One a study."""
    return [
        {
            "method": method.name,
            "seed": member.seed,
            "study": member.study.name,
            "folder": member.where,
            "state": member.source.state,
            "best": _finite(found.metric.value(member.anytime.final)),
            "trials": len(member.study.view.trials),
            "resource": member.anytime.end["resource"],
            "seconds": member.anytime.end["seconds"],
            "resource_to_target": resource,
            "seconds_to_target": seconds,
        }
        for method in found.methods
        for member, resource, seconds in zip(
            method.members, *(_reached(found, method, by) for by in _WAYS), strict=True
        )
    ]


def _reached(found: MethodComparison, method: Method, by: Spent) -> list[float]:
    return [_finite(amount) for amount in found.reached(method, by)] or [math.nan] * len(method.members)


def ranks_rows(found: MethodComparison) -> list[dict[str, Any]]:
    """One a method and budget; none where they would say nothing."""
    return [
        {
            "by": at.by,
            "spent": at.amount,
            "method": method.name,
            "rank": float(rank),
            "blocks": at.ranks.n_tasks,
            "critical_difference": at.ranks.critical_difference,
            "friedman_p": math.nan if at.ranks.p is None else at.ranks.p,
        }
        for at in found.ranks
        if at.ranks is not None and at.ranks.can_tell
        for method, rank in zip(found.methods, at.ranks.average, strict=True)
    ]


def frame(found: MethodComparison) -> pd.DataFrame:
    """One row a method."""
    import pandas as pd

    return pd.DataFrame(rows(found)).set_index("method")


def studies_frame(found: MethodComparison) -> pd.DataFrame:
    """One row a study."""
    import pandas as pd

    return pd.DataFrame(study_rows(found))


def ranks_frame(found: MethodComparison) -> pd.DataFrame:
    """One row a method and budget."""
    import pandas as pd

    columns = ["by", "spent", "method", "rank", "blocks", "critical_difference", "friedman_p"]
    return pd.DataFrame(ranks_rows(found), columns=columns)


def plain(found: MethodComparison) -> dict[str, Any]:
    """All of it as JSON takes it: what isn't there is null."""
    content = {
        "metric": found.metric.name,
        "mode": found.metric.mode,
        "unit": found.unit,
        "target": found.target,
        "differs": list(found.keys),
        "methods": rows(found),
        "ranks": ranks_rows(found),
        "studies": study_rows(found),
        "notes": list(found.notes),
    }
    return {key: _nulls(value) for key, value in content.items()}


def _nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _nulls(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_nulls(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else without_wild_numbers(value)
