"""Who gets which job, over workers of which a test says what they answer."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence

import pytest
from pools import job, outcomes, setup

from hpo_pipeline.executor import load_text
from hpo_pipeline.executor.pool import Pool
from hpo_pipeline.executor.runner import PackSettings
from hpo_pipeline.executor.transport import Answer, Lost, Message, Transport
from hpo_pipeline.trial import Event, Notice, Outcome, Report, Result


class Scripted:
    """A worker that notes what it is sent, and answers what it is told to."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.answers: deque[Answer | Lost] = deque()
        self.killed = False

    def says(self, *events: Event, waits: bool = True) -> None:
        self.answers.append(Answer(list(events), waits, None))

    @property
    def tasks(self) -> list[tuple[int, int, int]]:
        """Trial, resource that it goes on from, attempts before."""
        return [(task.trial_id, task.recorded, task.attempts) for what, task in self.sent if what == "run"]


class Place(Transport):
    """A transport to such workers, whose names are their numbers; `capacity` is for the test to change.

    Worker 0 is on the first of `on`, worker 1 on the second one, ...
    """

    works_in_wait = False
    capacity = 1

    def __init__(self, capacity: int, on: Sequence[str] = ()) -> None:
        self.capacity = capacity
        self.on = list(on)
        self.workers: list[Scripted] = []
        self.avoided: list[set[str]] = []
        self.leaving: set[str] = set()

    def start(self, pack: PackSettings, avoided: Collection[str] = ()) -> str | None:
        at_work = [w for i, w in enumerate(self.workers) if not w.killed and str(i) not in self.leaving]
        if len(at_work) >= self.capacity:
            return None
        self.workers.append(Scripted())
        self.avoided.append(set(avoided))
        return str(len(self.workers) - 1)

    def node(self, worker: str) -> str:
        return self.on[int(worker)] if self.on else ""

    def nodes(self) -> Mapping[str, int]:
        return dict.fromkeys(self.on, 1)

    def is_leaving(self, worker: str) -> bool:
        return worker in self.leaving

    def send(self, worker: str, message: Message) -> bool:
        self.workers[int(worker)].sent.append(message)
        return not self.workers[int(worker)].killed

    def wait(self, timeout: float | None) -> Sequence[str]:
        return [str(i) for i, worker in enumerate(self.workers) if worker.answers]

    def receive(self, worker: str) -> Answer | Lost | None:
        answers = self.workers[int(worker)].answers
        return answers.popleft() if answers else None

    def kill(self, worker: str, *, show_where: bool = False) -> None:
        self.workers[int(worker)].killed = True

    def wake(self) -> None:
        pass

    def close(self) -> None:
        pass


def pool(place: Place, size: int = 1, max_retries: int = 1) -> Pool:
    made = setup()
    return Pool(made, made.pack(1, 30.0, size), place, None, max_retries)


def report(trial_id: int, resource: int) -> Report:
    return Report(trial_id, resource, {"loss": 1.0}, 0.0)


def done(trial_id: int) -> Result:
    return Result(trial_id, Outcome.DONE, 0.0)


def test_the_jobs_of_a_lost_worker_go_on_elsewhere_from_what_they_have_reported():
    place = Place(1)
    executor = pool(place)
    executor.submit(job(0, 9), 2)
    place.workers[0].says(report(0, 3))
    place.workers[0].answers.append(Lost("the node is gone"))
    assert executor.wait() == [report(0, 3)]
    (notice,) = executor.wait()
    assert notice == Notice("trial 0: the node is gone; it goes on from its checkpoint (retry 1 of 1)")
    assert [worker.tasks for worker in place.workers] == [[(0, 2, 0)], [(0, 3, 1)]]
    assert place.workers[0].killed


def test_what_is_said_twice_or_too_late_changes_nothing():
    place = Place(2)
    executor = pool(place)
    executor.submit(job(0, 1), 0)
    executor.submit(job(1, 1), 0)
    first, second = place.workers
    first.says(report(0, 1), done(0))
    first.says(report(0, 1), done(0))
    second.says(report(0, 1), done(0))  # of a job that it was never given
    assert executor.wait() == [report(0, 1), done(0)]
    assert executor.wait() == []
    second.answers.append(Lost("gone"))
    second.says(report(1, 1), done(1))
    assert [type(event) for event in executor.wait()] == [Notice]
    assert executor.wait() == []  # it was given up, and its job is first's
    assert first.tasks[-1] == (1, 0, 1)


def test_of_a_cancelled_trial_nothing_more_is_reported_whatever_its_worker_says():
    place = Place(1)
    executor = pool(place, size=3)
    for trial in range(3):
        executor.submit(job(trial, 2), 0)
    for trial in range(3):
        executor.cancel(trial)
    (worker,) = place.workers
    failed = Result(1, Outcome.FAILED, 0.0, "no", "no")
    worker.says(report(0, 1), report(0, 2), done(0), failed)
    assert outcomes(executor.wait()) == {0: (Outcome.STOPPED, ""), 1: (Outcome.STOPPED, "")}
    worker.answers.append(Lost("gone"))
    assert outcomes(executor.wait()) == {2: (Outcome.STOPPED, "")}


def test_a_place_may_grow_and_shrink():
    place = Place(1)
    executor = pool(place, size=2)
    assert executor.capacity == 2
    for trial in range(2):
        executor.submit(job(trial, 9), 0)
    place.capacity = 3
    assert executor.capacity == 6
    executor.submit(job(2, 9), 0)
    executor.submit(job(3, 9), 0)
    assert [[trial for trial, _, _ in worker.tasks] for worker in place.workers] == [[0, 1], [2], [3]]
    place.capacity = 1
    for worker in place.workers[1:]:
        worker.answers.append(Lost("the node is drained"))
    executor.wait()
    assert executor.capacity == 2 + 2  # two jobs wait for a worker of their own
    assert len(place.workers) == 3
    place.capacity = 2
    executor.wait()
    assert place.workers[3].tasks == [(2, 0, 1)]


@pytest.mark.parametrize("max_retries", [0, 3])
def test_a_trial_that_has_lost_its_worker_too_often_fails(max_retries):
    place = Place(1)
    executor = pool(place, max_retries=max_retries)
    executor.submit(job(0, 1), 0)
    for attempt in range(max_retries + 1):
        place.workers[attempt].answers.append(Lost("gone"))
        events = executor.wait()
    tried = f"; tried {max_retries + 1} times" if max_retries else ""
    assert outcomes(events) == {0: (Outcome.FAILED, f"gone{tried}")}


def test_a_worker_goes_on_only_when_all_was_said_that_is_to_be_said():
    place = Place(1)
    executor = pool(place, size=2)
    executor.submit(job(0, 2, milestones=[1]), 0)
    (worker,) = place.workers
    assert [what for what, _ in worker.sent] == ["run"]
    executor.wait()
    assert worker.sent[1:] == [("go", 0)]
    worker.says(report(0, 1))
    executor.wait()
    assert worker.sent[2:] == []
    executor.cancel(0)
    executor.submit(job(1, 1), 0)
    executor.wait()
    assert [what for what, _ in worker.sent[2:]] == ["stop", "run", "go"]
    assert worker.sent[-1] == ("go", 1)


def test_that_a_node_is_gone_is_no_job_s_fault_and_a_pack_goes_on_as_a_pack():
    place = Place(2, on=["a", "b", "c"])
    executor = pool(place, size=2, max_retries=0)
    for trial_id in (0, 1, 2, 3):
        executor.submit(job(trial_id, 9), 0)
    assert sorted(len(worker.tasks) for worker in place.workers) == [2, 2]
    lost = [trial_id for trial_id, _, _ in place.workers[0].tasks]
    place.workers[0].answers.append(Lost("node a is gone", blameless=True))
    assert executor.wait() == [Notice("node a is gone; 2 trials go on from the last checkpoint elsewhere")]
    assert place.workers[2].tasks == [(trial_id, 0, 0) for trial_id in lost]


def test_without_a_place_jobs_wait_until_there_is_one():
    place = Place(1, on=["a", "b"])
    executor = pool(place)
    executor.submit(job(0, 9), 0)
    place.capacity = 0
    place.workers[0].says(report(0, 4))
    place.workers[0].answers.append(Lost("node a is gone", blameless=True))
    assert [type(event) for event in (*executor.wait(), *executor.wait())] == [Report, Notice]
    assert len(place.workers) == 1
    assert executor.capacity == 1  # the job that waits: nothing more is to be handed out
    place.capacity = 1
    assert executor.wait() == []
    assert place.workers[1].tasks == [(0, 4, 0)]


def test_a_job_that_is_handed_out_when_the_last_place_was_lost_waits_as_well():
    place = Place(0, on=["a"])
    executor = pool(place)
    executor.submit(job(0, 9), 0)
    assert place.workers == []
    executor.cancel(0)
    assert executor.wait() == [Result(0, Outcome.STOPPED, pytest.approx(time.time(), abs=60))]


def test_a_job_that_has_lost_a_worker_goes_on_on_another_node_and_fails_when_it_has_been_on_two():
    place = Place(1, on=["a", "a", "b", "c"])
    executor = pool(place, max_retries=1)
    executor.submit(job(0, 9), 0)
    for number in (0, 1, 2):
        place.workers[number].answers.append(Lost("the worker process ended"))
        events = executor.wait()
        assert [type(event) for event in events] == [Result if number == 2 else Notice]
    assert place.avoided == [set(), {"a"}, {"a"}]
    assert outcomes(events) == {0: (Outcome.FAILED, "the worker process ended; tried 3 times")}


def test_one_node_is_enough_to_fail_on_where_there_is_no_other():
    place = Place(1, on=["a", "a"])
    executor = pool(place, max_retries=1)
    executor.submit(job(0, 9), 0)
    for number in (0, 1):
        place.workers[number].answers.append(Lost("the worker process ended"))
        events = executor.wait()
    assert outcomes(events)[0][0] is Outcome.FAILED


def test_a_worker_whose_node_is_drained_ends_what_it_has_and_gets_nothing_more():
    place = Place(2, on=["a", "b", "c"])
    executor = pool(place)
    executor.submit(job(0, 1), 0)
    place.leaving.add("0")
    place.capacity = 1
    assert executor.capacity == 2  # what it still has, and the other node
    executor.submit(job(1, 1), 0)
    assert place.workers[1].tasks == [(1, 0, 0)]
    place.workers[0].says(report(0, 1), done(0))
    assert [event.node for event in executor.wait()] == ["a", "a"]
    assert place.workers[0].killed
    assert executor.nodes()["b"].jobs == 1


def test_people_are_told_where_workers_are():
    executor = pool(Place(2, on=["a", "b"]))
    executor.submit(job(0, 1), 0)
    assert load_text(executor.nodes()) == "workers: a 1 (1 job), b 1 (0 jobs)"
    assert load_text(pool(Place(2)).nodes()) == ""
