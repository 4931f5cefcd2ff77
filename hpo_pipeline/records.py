"""What the records of a journal hold. Each has `event`, `time` (seconds since the epoch, of whoever saw it happen), and
`elapsed`: seconds that the study has run, earlier sessions included, by the tuner's monotonic clock.

    event      further keys
    study      version, id, name, seed, metrics, unit            first; the latest one counts, if there are several;
                                                                 metrics: [{name, mode}, ...]; of a training that
                                                                 train.py does it has kind: training
               inode, host                                       of the journal's file, and where it has this inode
               constraints, reference_point                      if there are any: [{name, min, max}, ...], and metric
                                                                 -> what the hypervolume reaches to
               commands                                          "train" -> the beginning of the command line that
                                                                 trains a trial again, "resume" -> the one that goes on
    session    session (1, 2, ...), host, pid, n_trials          a tuner began or resumed, and takes over older jobs;
               simulated                                         true where its times are those of a simulated clock
               finalists {n, seeds}                              how it is to end; without it, with none
    suggested  trial, config                                     a trial and its sample
               origin, first_rung                                where the sample came from, for people; the rung that
                                                                 the searcher has it begin on, if it has chosen one
               repeats                                           the finalist that it is a further seed of
    submitted  trial, resource, rung, bracket, session           a job, and whose it is; where the trial goes on from
               source [trial, resource], config                  another's checkpoint, and as what: these two as well
               finalist                                          true of one after the search: it is on no rung
    report     trial, resource, metrics                          each unit of resource, once
               finished                                          why the trial is through with it, before its job was
               node                                              the machine that it comes from, of several
    counted    trial, resource, rung, bracket                    a job for a trial that has finished: nothing to train
    rung       trial, rung, bracket, resource                    the trial's last report is a rung evaluation
    test       trial, resource, metrics                          what a final training measures on the test set
    result     trial, outcome, error, traceback                  the job ended
               finished, node                                    why the trial is through with its last report; as above
    decision   trial, state, reason                              the trial's state changed
    end        state, reason, traceback (if there is one)        this session ended in good order

Values of metrics that JSON can't hold are the strings "nan", "inf" and "-inf". Version 1 has no `elapsed`; a
study of versions 1 and 2 has one `metric` and its `mode`, and a rung its `value`, which its report has too.
"""

from __future__ import annotations

import json
import math
import reprlib
import sys
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from hpo_pipeline.checks import is_integer
from hpo_pipeline.evaluation import MODES
from hpo_pipeline.trial import Outcome, State

Record = dict[str, Any]
VERSION = 3
_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
_MEASURED = ("report", "test")


def encode(record: Record) -> bytes:
    """A record as JSON."""
    if record["event"] in _MEASURED:
        values = record["metrics"]
        if not all(map(math.isfinite, values.values())):
            told = {name: value if math.isfinite(value) else str(value) for name, value in values.items()}
            record = {**record, "metrics": told}
    return _JSON.encode(record).encode()


def decode(text: bytes) -> Record:
    """A record from JSON; a ValueError says why it is none."""
    try:
        record = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(record, dict) or not isinstance(record.get("event"), str):
        raise ValueError("not an object with an event")
    if record["event"] == "study" and "metric" in record:
        record["metrics"] = [{"name": record["metric"], "mode": record.get("mode")}]
    needed = _KEYS.get(record["event"], {})
    if missing := [key for key in needed if key not in record]:
        raise ValueError(f"a {record['event']} without {missing[0]!r}")
    for keys in (needed, _OPTIONAL):
        for key, (is_right, what) in keys.items():
            if key in record and not is_right(record[key]):
                raise ValueError(f"a {record['event']} with {key} {reprlib.repr(record[key])}, which is not {what}")
    if record["event"] in _MEASURED:
        record["metrics"] = {name: float(value) for name, value in named_alike(record["metrics"]).items()}
    elif "config" in record:
        record["config"] = named_alike(record["config"])
    return record


def named_alike(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with each name once in memory, however many records have it: they come one by one, and stay."""
    return {sys.intern(str(name)): value for name, value in values.items()}


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return is_integer(value, 0, 2**63 - 1)


def _is_number(value: Any) -> bool:
    """A number that a float can hold, or the text of one that JSON can't."""
    if isinstance(value, str):
        return value in ("nan", "inf", "-inf")
    return isinstance(value, float) or is_integer(value, 1 - 2**63, 2**63 - 1)


def _is_finite(value: Any) -> bool:
    return not isinstance(value, str) and _is_number(value) and math.isfinite(value)


def _is_metrics(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


def _is_metric_list(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and _is_text(one.get("name")) and one.get("mode") in MODES for one in value)
    )


def _is_constraint_list(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_constraint, value))


def _is_constraint(value: Any) -> bool:
    bounds = {key: bound for key, bound in value.items() if key != "name"} if isinstance(value, dict) else {"": ""}
    return (
        bounds.keys() <= {"min", "max"}
        and _is_text(value.get("name"))
        and all(bound is None or _is_finite(bound) for bound in bounds.values())
    )


def _is_point(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_finite, value.values()))


def _is_config(value: Any) -> bool:
    return isinstance(value, dict) and not any(isinstance(part, (dict, list)) for part in value.values())


def _is_place(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_count, value))


def _is_finalists(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"n", "seeds"} and all(map(_is_count, value.values()))


def _one_of(members: type[Enum]) -> tuple[Callable[[Any], bool], str]:
    words = [member.value for member in members]
    return lambda value: isinstance(value, str) and value in words, f"one of {', '.join(words)}"


_COUNT = _is_count, "a count"
_TEXT = _is_text, "text"
_TRIAL = {"time": (_is_finite, "a time"), "trial": _COUNT}
_KEYS: dict[str, dict[str, tuple[Callable[[Any], bool], str]]] = {
    "study": {"time": _TRIAL["time"], "name": _TEXT, "metrics": (_is_metric_list, "a list of names and modes")},
    "session": {"time": _TRIAL["time"]},
    "suggested": {**_TRIAL, "config": (_is_config, "a configuration")},
    "submitted": {**_TRIAL, "resource": _COUNT, "rung": _COUNT, "bracket": _COUNT},
    "report": {**_TRIAL, "resource": _COUNT, "metrics": (_is_metrics, "names with numbers")},
    "test": {**_TRIAL, "resource": _COUNT, "metrics": (_is_metrics, "names with numbers")},
    "counted": {**_TRIAL, "resource": _COUNT, "rung": _COUNT, "bracket": _COUNT},
    "rung": {**_TRIAL, "rung": _COUNT, "bracket": _COUNT, "resource": _COUNT},
    "result": {**_TRIAL, "outcome": _one_of(Outcome), "error": _TEXT, "traceback": _TEXT},
    "decision": {**_TRIAL, "state": _one_of(State), "reason": _TEXT},
    "end": {"time": _TRIAL["time"], "state": _TEXT, "reason": _TEXT},
}
"""event -> key that it must have -> (whether a value is right, what it should be). Other events are passed over."""
_OPTIONAL: dict[str, tuple[Callable[[Any], bool], str]] = {
    "elapsed": (_is_finite, "a number of seconds"),
    "n_trials": (lambda value: value is None or _is_count(value), "a count or null"),
    "origin": _TEXT,
    "finished": _TEXT,
    "node": _TEXT,
    "first_rung": _COUNT,
    "repeats": _COUNT,
    "finalist": (lambda value: isinstance(value, bool), "true or false"),
    "finalists": (_is_finalists, "counts n and seeds"),
    "source": (_is_place, "a trial and a resource"),
    "version": (_is_count, "a count"),
    "constraints": (_is_constraint_list, "a list of names and bounds"),
    "reference_point": (_is_point, "names with numbers"),
}
