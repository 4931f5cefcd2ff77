"""What a line that a program prints has to say: a report is a JSON object, or what a pattern finds; the rest is log."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.objective import Metrics

FINISHED = "finished"
"""The key, or group, by which the last report may say that the program is through before its end."""
LONGEST = 1 << 16
"""Characters of a line that may be a report."""

# As C, awk and R print them; JSON as Python writes it has NaN and Infinity.
_NOT_FINITE = re.compile(r"(:\s*)([-+]?)(nan|inf(?:inity)?)\b", re.IGNORECASE)


class ReportError(ValueError):
    """A report isn't what one has to be."""


@dataclass(frozen=True, slots=True)
class Reported:
    """One unit of resource.

    Attributes:
        at: which one by the program's own count, from 1; None if it doesn't say.
        finished: whether the program says that it is through.
    """

    at: int | None
    metrics: Metrics
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads reports.

    Attributes:
        unit: the key, or the group of the pattern, that says which unit of resource a report is of: "epoch".
        pattern: whose named groups are the metrics; None: JSON objects are reports.
    """

    unit: str
    pattern: re.Pattern[str] | None = None

    def read(self, line: str) -> Reported | None:
        """The report in a line, if there is one.

        Raises:
            ReportError: there is one, and what it says is no number.
        """
        if len(line) > LONGEST:
            return None
        if self.pattern is None:
            return self._reported(_json_object(line))
        found = self.pattern.search(line)
        return self._reported({key: text for key, text in found.groupdict().items() if text} if found else None)

    def unread(self, metric: str) -> str:
        """What to say of a program none of whose lines is a report; `metric` is one that it has to report."""
        if self.pattern is not None:
            return f"no line fits objective.pattern={self.pattern.pattern!r}"
        example = json.dumps({self.unit: 1, metric: 0.1})
        return f"no line can be read as a report: it has to print lines such as {example}, or set objective.pattern"

    def is_log(self, line: str) -> bool:
        """Whether it is no report, or a line that is log as well."""
        return self.pattern is not None or _json_object(line) is None

    def _reported(self, values: Mapping[str, Any] | None) -> Reported | None:
        if values is None:
            return None
        finished = values.get(FINISHED, False)
        if not isinstance(finished, bool) and self.pattern is None:
            raise ReportError(f"{FINISHED!r} must be true or false, got {finished!r:.100}")
        metrics = {name: self._number(name, value) for name, value in values.items() if name != FINISHED}
        at = metrics.pop(self.unit, None)
        if at is not None and not (at.is_integer() and at >= 1):
            raise ReportError(f"{self.unit!r} counts from 1, got {at:g}")
        return Reported(None if at is None else int(at), metrics, bool(finished))

    def _number(self, name: str, value: Any) -> float:
        if value is None:  # how JavaScript, among others, writes NaN in JSON
            return float("nan")
        if isinstance(value, (int, float)) or (self.pattern is not None and isinstance(value, str)):
            try:
                return float(value)
            except (ValueError, OverflowError):
                pass
        raise ReportError(f"{name!r} must be a number, got {value!r:.100}")


def reader(unit: Any, pattern: Any) -> Reader:
    """The reader that a config describes.

    Raises:
        ConfigError: naming the key.
    """
    if not isinstance(unit, str) or not unit.isidentifier():
        raise ConfigError(Problem("unit", "must be a word, such as epoch", unit))
    if pattern is None:
        return Reader(unit)
    wanted = "must be a regular expression whose named groups are metrics: 'error: (?P<validation_error>\\S+)'"
    try:
        compiled = re.compile(pattern)
    except (re.error, TypeError) as error:
        raise ConfigError(Problem("pattern", f"{wanted} ({error})", pattern)) from None
    if not set(compiled.groupindex) - {unit}:
        raise ConfigError(Problem("pattern", wanted, pattern))
    return Reader(unit, compiled)


def _json_object(line: str) -> dict[str, Any] | None:
    line = line.strip()
    if not (line.startswith("{") and line.endswith("}")):
        return None
    for text in (line, _NOT_FINITE.sub(_as_in_python, line)):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            continue
        return found if isinstance(found, dict) else None
    return None


def _as_in_python(found: re.Match[str]) -> str:
    if found[3].lower() == "nan":
        return f"{found[1]}NaN"
    return f"{found[1]}{'-' * (found[2] == '-')}Infinity"
