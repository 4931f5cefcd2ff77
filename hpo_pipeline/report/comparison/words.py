"""What is said of compared methods, in a terminal and on the page."""

from __future__ import annotations

import math
import statistics

from hpo_pipeline.analysis.anytime import Spent
from hpo_pipeline.analysis.comparison import Method, MethodComparison, RanksAt
from hpo_pipeline.analysis.ranks import LEVEL, Ranks, critical_difference
from hpo_pipeline.errors import one_line
from hpo_pipeline.report.text import duration, metric_text, plural

_MOST_NAMED = 4
_MOST_BLOCKS = 1000


def value_text(found: MethodComparison, score: float) -> str:
    """A score as a value of the metric; an en dash where there is none."""
    return metric_text(found.metric.value(score)) if math.isfinite(score) else "–"


def range_text(found: MethodComparison, method: Method) -> str:
    """`0.04000 to 0.04667`: the quartiles of the final values, the lower one first; an en dash of a single study."""
    low, _, high = method.finals
    if len(method.members) < 2 or not math.isfinite(low):
        return "–"
    ends = [found.metric.value(float(low)), found.metric.value(float(high))]
    if not math.isfinite(high):
        return f"{metric_text(ends[0])} to none"
    return " to ".join(metric_text(end) for end in sorted(ends))


def spent_text(amount: float, by: Spent) -> str:
    """`4:05`, or `270`; an en dash of what never was."""
    if not math.isfinite(amount):
        return "–"
    return (
        duration(amount) if by == "seconds" else f"{amount:.0f}" if amount >= 10 or amount % 1 == 0 else f"{amount:g}"
    )


def to_target(found: MethodComparison, method: Method, by: Spent) -> float:
    """The median over the studies; +inf where half of them never reached it, or there is no target."""
    spent = found.reached(method, by)
    return statistics.median_high(spent) if spent and math.inf in spent else statistics.median(spent or [math.inf])


def n_reached(found: MethodComparison, method: Method) -> int:
    return sum(math.isfinite(amount) for amount in found.reached(method, "resource"))


def headline(found: MethodComparison) -> str:
    """`3 methods by validation_error (min), 3 studies each`."""
    counts = {len(method.members) for method in found.methods}
    n = counts.pop() if len(counts) == 1 else 0
    studies = f"{n_studies(n)} each" if n else f"{len(found.members)} studies in all"
    return f"{plural(len(found.methods), 'method')} by {one_line(str(found.metric))}, {studies}"


def n_studies(n: int) -> str:
    """`1 study`, `3 studies`."""
    return "1 study" if n == 1 else f"{n} studies"


def found_text(found: MethodComparison) -> str:
    """What each method's median study came to."""
    first, *others = found.methods
    if not math.isfinite(first.finals[1]):
        return "No method has a usable value."
    what = f"{first.name}: {value_text(found, float(first.finals[1]))}"
    if not others:
        return f"{what}, the median of {n_studies(len(first.members))}; nothing differs but the seed."
    equal = sum(method.finals[1] == first.finals[1] for method in others)
    best = "the best median" if not equal else f"as good as {plural(equal, 'other')}"
    worse = others[equal:]
    told = [f"{method.name} {value_text(found, float(method.finals[1]))}" for method in worse[:_MOST_NAMED]]
    more = f" and {len(worse) - _MOST_NAMED} more" if len(worse) > _MOST_NAMED else ""
    return f"{what}, {best}{'; then ' if told else ''}{', '.join(told)}{more}."


def target_text(found: MethodComparison, is_default: bool = True) -> str:
    """What the target is, and how times to it are told."""
    if found.target is None:
        return ""
    which = "the worst method's final median" if is_default else "as given"
    return f"Target {metric_text(found.target)}, {which}. In its median, a study that never got there counts as never."


def at_end(found: MethodComparison, by: Spent = "resource") -> RanksAt:
    """The ranks when all that is common was spent."""
    return [ranks for ranks in found.ranks if ranks.by == by][-1]


def says_something(found: MethodComparison) -> bool:
    """Whether there are ranks that could differ by more than chance."""
    ranks = at_end(found).ranks
    return ranks is not None and ranks.can_tell


def ranks_text(found: MethodComparison, at: RanksAt) -> str:
    """What the ranks at one budget say, and how far they can be trusted."""
    ranks, k = at.ranks, len(found.methods)
    if k < 2:
        return ""
    if ranks is None:
        return "There are no ranks: no seed was run with all of the methods."
    blocks = blocks_text(found, ranks.n_tasks)
    if not ranks.can_tell:
        enough = next((n for n in range(2, _MOST_BLOCKS) if critical_difference(k, n) <= k - 1), _MOST_BLOCKS)
        return (
            f"Ranks of {plural(k, 'method')} over {blocks} would say nothing, whatever came out: chance alone may put "
            f"them up to {ranks.critical_difference:.2f} apart. It takes {enough} seeds or more."
        )
    apart = _apart(found, ranks)
    p = "" if ranks.p is None else f", Friedman's p {ranks.p:.2g}"
    far = f"{ranks.critical_difference:.2f} apart (Nemenyi, p < {LEVEL}{p})"
    return f"Average ranks over {blocks} differ if they are {far}: at the end {apart}."


def blocks_text(found: MethodComparison, n: int) -> str:
    """`3 seeds`; where something else differs within a method, too, what it makes with the seeds."""
    return plural(n, "seed") if not found.rest else f"{n} pairs of a seed with what else differs"


def _apart(found: MethodComparison, ranks: Ranks) -> str:
    """Which methods do."""
    names, average = [method.name for method in found.methods], ranks.average
    pairs = [
        f"{names[i]} and {names[j]}"
        for i in range(len(names))
        for j in range(len(names))
        if average[j] - average[i] >= ranks.critical_difference - 1e-9
    ]
    if not pairs:
        return "no two of these do"
    more = f" and {len(pairs) - _MOST_NAMED} more pairs" if len(pairs) > _MOST_NAMED else ""
    return f"{'; '.join(pairs[:_MOST_NAMED])}{more} do"
