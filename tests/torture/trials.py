"""One trial of a study misbehaves; the others come to what they would have come to without it."""

from __future__ import annotations

import random

from hpo_pipeline.journal import Record
from torture.case import FailedError, Torture, origin
from torture.objectives import DEEDS, REPORTS, closed_form
from torture.sandbox import Sandbox
from torture.studies import EXECUTORS, NAME, records, reports

N_TRIALS, MAX_RESOURCE = 4, 3
_OWN_PROCESS = ("serial", "fused")
"""Executors that train in the tuner's process, which then ends with what ends the trial's."""
_ENDS_THE_PROCESS = (
    *("os._exit(0)", "os._exit(3)", "kills itself", "segmentation fault", "abort"),
    "closes all files",  # the journal among them
)
_STARTS = ("leaves a child", "leaves a fork", "leaves a thread", "forks and both go on")
"""What a trial starts in the tuner's process is left as it is: the documentation of OwnProcess says so."""
_STOPS_THE_TUNER = ("raises KeyboardInterrupt", "terminates itself")
_HANGS = ("hangs", "spins")
_NAMES = (*DEEDS, *REPORTS)
_EXECUTORS = [name for name in EXECUTORS if name != "one_process"]


def case(number: int, draw: random.Random, sandbox: Sandbox) -> str:
    name, executor = _NAMES[number % len(_NAMES)], draw.choice(_EXECUTORS)
    if name in _STARTS and executor in _OWN_PROCESS:
        executor = "process"
    bad = draw.randrange(N_TRIALS)
    arguments = [
        *(f"name={NAME}", "tracker=none", "scheduler=fifo", "objective=function", "metric=error"),
        *(
            "dataset=digits",
            "model=softmax",
            "optimizer=sgd",
            f"n_trials={N_TRIALS}",
            f"max_resource={MAX_RESOURCE}",
            *EXECUTORS[executor],
        ),
        *("objective.function=torture.objectives.misbehaving", *(["executor.job_timeout=2"] if name in _HANGS else [])),
    ]
    environment = {"MISBEHAVIOUR": name, "BAD_TRIAL": str(bad), "BAD_AT": str(draw.randint(1, MAX_RESOURCE))}
    environment["STUDY"] = str(sandbox.work / "runs" / NAME)
    did = f"trial {bad} {name}, {executor}"
    program = sandbox.start(*arguments, **environment)
    ended = program.wait()
    gone = executor in _OWN_PROCESS and name in _ENDS_THE_PROCESS
    stopped = executor in _OWN_PROCESS and name in _STOPS_THE_TUNER and ended.code == 130
    if gone or stopped:  # a user who debugs in the tuner's process goes on in others
        ended = sandbox.start(f"name={NAME}", "resume=true", *EXECUTORS["process"], **environment).wait()
    if "Traceback" in ended.err or "hangs" in ended.err:
        raise FailedError(f"{did}: exit code {ended.code}: {origin(ended.err)}")
    if ended.code != 0:
        raise FailedError(f"{did}: exit code {ended.code}: {ended.err[-800:]} {ended.out[-300:]}")
    state = _check_others(records(sandbox), bad, did)
    return f"{executor}: {'ended and resumed, ' if gone or stopped else ''}its trial {state}"


def _check_others(found: list[Record], bad: int, did: str) -> str:
    """All trials but the bad one are complete, with the values of the closed form; the state of that one."""
    values = reports(found)
    rates = {record["trial"]: record["config"]["optimizer.lr"] for record in found if record["event"] == "suggested"}
    if sorted(rates) != list(range(N_TRIALS)):
        raise FailedError(f"{did}: there are trials {sorted(rates)}")
    for trial in set(rates) - {bad}:
        got = {resource: value for (i, resource), value in values.items() if i == trial}
        expected = {resource: closed_form(rates[trial], resource) for resource in range(1, MAX_RESOURCE + 1)}
        if got != expected:
            raise FailedError(f"{did}: trial {trial} has {got}, not {expected}")
    if found[-1].get("state") != "completed":
        raise FailedError(f"{did}: ended with {found[-1]}")
    states = {record["trial"]: record["state"] for record in found if record["event"] == "decision"}
    if states.get(bad) not in ("COMPLETED", "FAILED"):
        raise FailedError(f"{did}: it is {states.get(bad)}")
    return str(states[bad]).lower()


TORTURE = Torture("trials", "one trial misbehaves", len(_NAMES), 1, case)
