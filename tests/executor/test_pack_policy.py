"""What a pack makes of measurements: of good ones, of bad ones, and of those that fail."""

from dataclasses import dataclass

import pytest

from hpo_pipeline.executor.pack_policy import FIRST, PackPolicy, own_advance


@dataclass
class Cost:
    size: int
    speedup: float = 2.0

    def best_size(self, sharing):
        return self.size // sharing

    def gain(self, size):
        return self.speedup

    def describe(self):
        return "1 ms a step for one"


class Objective:
    """States are their own keys; None can only be trained alone."""

    def __init__(self, gain=2.0, cost=None):
        self.gain, self.cost = gain, cost
        self.tried = []

    def pack_key(self, state):
        return state

    def advance(self, state):
        return {}

    def advance_pack(self, states):
        return [{} for _ in states]

    def pack_gain(self, states):
        self.tried.append(len(states))
        answer = self.gain(len(states)) if callable(self.gain) else self.gain
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pack_cost(self, states):
        if isinstance(self.cost, Exception):
            raise self.cost
        return self.cost


def texts(policy):
    return [notice.text for notice in policy.notices()]


@pytest.mark.parametrize(("sharing", "size"), [(1, 64), (2, 32)])
def test_the_size_is_what_was_measured_for_its_share_of_the_memory(sharing, size):
    policy = PackPolicy(None, sharing)
    assert (policy.size, policy.settled) == (FIRST, False)
    policy.settle(Objective(cost=Cost(64)), [("a", ["a", "a"])])
    assert (policy.size, policy.settled) == (size, True)
    assert texts(policy) == [f"packs of at most {size}: 1 ms a step for one"]
    assert texts(policy) == []


def test_what_is_faster_one_by_one_gets_one_job_at_a_time():
    policy = PackPolicy(None)
    policy.settle(Objective(cost=Cost(64, speedup=0.9)), [("a", ["a", "a"])])
    assert (policy.size, policy.settled) == (1, True)
    assert texts(policy) == ["one by one: 1 ms a step for one"]
    assert policy.n_packed(Objective(), "a", ["a", "a"]) == 1


def test_where_the_size_can_not_be_measured_it_stays_small():
    policy = PackPolicy(None)
    policy.settle(Objective(cost=ValueError("no\nway")), [("a", ["a", "a"])])
    assert (policy.size, policy.settled) == (FIRST, True)
    assert texts(policy) == [f"packs of at most {FIRST}: measuring a better size failed (ValueError: no)"]


def test_one_trial_is_not_enough_to_measure():
    policy = PackPolicy(None)
    policy.settle(Objective(cost=Cost(64)), [("a", ["a"])])
    assert not policy.settled


@pytest.mark.parametrize(("kinds", "size"), [("abcd", FIRST), ([None] * 4, 1)])
def test_four_trials_of_four_kinds_leave_the_size_small_and_four_that_go_alone_one_job_at_a_time(kinds, size):
    policy = PackPolicy(None)
    policy.settle(Objective(), [(kind, [kind]) for kind in kinds])
    assert (policy.size, policy.settled) == (size, True)
    packs = "one by one" if size == 1 else f"packs of at most {size}"
    assert texts(policy) == [f"{packs}: no two of the first 4 trials can be in one pack"]


def test_a_gain_is_measured_once_for_each_doubling():
    policy, objective = PackPolicy(32), Objective()
    for n in (2, 3, 4, 5, 7, 8):
        assert policy.n_packed(objective, "a", ["a"] * n) == n
    assert objective.tried == [2, 4, 8]


def test_what_is_faster_one_by_one_is_said_once():
    policy, objective = PackPolicy(32), Objective(gain=0.9)
    for key, n in (("a", 2), ("a", 3), ("b", 5)):
        assert policy.n_packed(objective, key, ["a"] * n) == 1
    assert objective.tried == [2, 5]
    assert texts(policy) == ["a pack of 2 trials was slower than one by one when tried: such trials go one by one"]


def test_a_gain_that_can_not_be_measured_is_none_and_said_once():
    policy, objective = PackPolicy(32), Objective(gain=ValueError("no"))
    for _ in range(2):
        assert policy.n_packed(objective, "a", ["a", "a"]) == 1
    assert texts(policy) == ["trials go on one by one: measuring a pack of them failed (ValueError: no)"]


def test_a_pack_too_large_to_be_measured_in_memory_is_halved_until_it_fits():
    policy = PackPolicy(32)
    objective = Objective(gain=lambda n: RuntimeError("CUDA out of memory") if n > 2 else 2.0)
    assert policy.n_packed(objective, "a", ["a"] * 8) == 2
    assert texts(policy) == [
        "not enough memory for a pack of 8 trials: at most 4 from now on",
        "not enough memory for a pack of 4 trials: at most 2 from now on",
    ]


def test_a_kind_of_which_no_pack_could_be_trained_is_not_tried_again_and_others_are():
    policy = PackPolicy(32)
    policy.failed("a", 2, "training", ValueError("no"))
    assert policy.n_packed(Objective(), "a", ["a", "a"]) == 1
    assert policy.n_packed(Objective(), "b", ["b", "b"]) == 2
    assert texts(policy) == ["trials go on one by one: training a pack of them failed (ValueError: no)"]


def test_a_pack_with_one_place_asks_for_no_kinds():
    assert PackPolicy(1).key(Objective(), "a") is None


class OtherLoss(Objective):
    def advance(self, state):
        return {"loss": 1.0}


class OtherLossInPacks(OtherLoss):
    def advance_pack(self, states):
        return [self.advance(state) for state in states]


class OtherKey(Objective):
    def pack_key(self, state):
        return 1


class OtherLossAgain(OtherLossInPacks):
    def advance(self, state):
        return {"loss": 2.0}


class Mixin:
    def advance(self, state):
        return {"loss": 3.0}


class Mixed(Mixin, Objective):
    pass


class Plain:
    def advance(self, state):
        return {}


def patched():
    objective = Objective()
    objective.advance = lambda state: {}
    return objective


@pytest.mark.parametrize("kind", [Objective, OtherLossInPacks, OtherKey])
def test_trials_of_an_objective_whose_advance_pack_belongs_to_its_advance_go_in_packs(kind):
    policy = PackPolicy(32)
    assert own_advance(kind()) is None
    assert policy.key(kind(), "a") is not None
    assert texts(policy) == []


def test_of_an_objective_without_packs_nothing_is_said():
    policy = PackPolicy(32)
    assert policy.key(Plain(), "a") is None
    assert texts(policy) == []


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (OtherLoss, "OtherLoss has an advance of its own, and no advance_pack that goes with it"),
        (OtherLossAgain, "OtherLossAgain has an advance of its own, and no advance_pack that goes with it"),
        (Mixed, "Mixin has an advance of its own, and no advance_pack that goes with it"),
        (patched, "the objective has an advance of its own, and no advance_pack that goes with it"),
    ],
)
def test_trials_of_an_objective_that_advances_in_another_way_go_one_by_one_and_this_is_said_once(make, reason):
    policy, objective = PackPolicy(32), make()
    assert [policy.key(objective, state) for state in "ab"] == [None, None]
    assert texts(policy) == [f"trials go one by one: {reason}"]
