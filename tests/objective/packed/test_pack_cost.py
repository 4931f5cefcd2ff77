"""The size of a pack from what was measured, by the formula; and that measuring touches no trial."""

import copy

import pytest
from specs import trial_of

torch = pytest.importorskip("torch")

from hpo_pipeline.objective.device import free_memory  # noqa: E402
from hpo_pipeline.objective.packed.cost import LARGEST, PackCost, _Watch  # noqa: E402
from hpo_pipeline.objective.training import Training  # noqa: E402

GB = 1e9


def cost(a, b, alone=1.0, each=1.0, fixed=0.0, free=GB):
    """Of packs that take a + b k seconds and fixed + each k bytes."""
    return PackCost(alone, {k: a + b * k for k in (1, 2, 4)}, {k: fixed + each * k for k in (1, 2, 4)}, free)


@pytest.mark.parametrize(
    ("a", "b", "size"),
    [
        (0.0, 1.0, 4),  # nothing is shared: no more than were measured
        (1.0, 1.0, 16),  # the smallest power of two from 10 a/b = 10 on
        (1.5, 1.0, 16),
        (1.7, 1.0, 32),
        (6.3, 1.0, 64),
        (1.0, 0.01, LARGEST),  # 10 a/b = 1000
        (1.0, 0.0, LARGEST),
    ],
)
def test_a_pack_is_the_smallest_whose_cost_per_trial_is_within_a_tenth_of_its_limit(a, b, size):
    assert cost(a, b).best_size() == size


def test_noise_that_makes_more_trials_faster_is_taken_for_trials_that_cost_nothing():
    measured = PackCost(1.0, {1: 1.2, 2: 1.1, 4: 1.0}, {1: 1.0, 2: 2.0, 4: 4.0}, GB)
    assert measured.best_size() == LARGEST
    assert measured.gain(4) == pytest.approx(4 / 1.1)


def test_the_gain_is_the_time_one_by_one_over_that_of_the_pack():
    assert cost(1.0, 0.5, alone=0.9).gain(8) == pytest.approx(0.9 * 8 / 5)


@pytest.mark.parametrize(
    ("free", "sharing", "size"),
    [
        (100.0, 1, 16),  # 80 bytes for 16 trials of 5
        (99.0, 1, 8),
        (100.0, 2, 8),
        (10.0, 1, 1),
        (0.0, 1, 1),
    ],
)
def test_a_pack_takes_at_most_four_fifths_of_its_share_of_the_memory(free, sharing, size):
    assert cost(1.0, 0.0, each=5.0, free=free).best_size(sharing) == size


def test_what_was_measured_is_described_in_milliseconds():
    assert cost(1e-3, 25e-6, alone=0.8e-3).describe() == "0.8 ms a step for one, 1.1 ms for a pack of four"


def config(lr, batch_size=32):
    return {
        "seed": 0,
        "model": {"_target_": "hpo_pipeline.model.mlp.MLP", "n_units_1": 8, "n_units_2": 8, "dropout_1": 0.1},
        "dataset": {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": batch_size},
        "optimizer": {"_target_": "torch.optim.Adam", "lr": lr},
    }


@pytest.mark.parametrize("n", [2, 4])
def test_measuring_changes_no_trial(n):
    objective = Training(device="cpu", threads=1)
    states = [objective.start(trial_of(config(0.01 * i, 16 * i), i)) for i in range(1, n + 1)]
    objective.advance_pack(states)
    before = copy.deepcopy([(state.model.state_dict(), state.optimizer.state_dict()) for state in states])
    measured = objective.pack_cost(states)
    assert list(measured.seconds) == list(measured.memory) == [1, 2, 4]
    for state, (model, optimizer) in zip(states, before, strict=True):
        now = state.optimizer.state_dict()["state"]
        assert all(torch.equal(value, model[name]) for name, value in state.model.state_dict().items())
        assert all(torch.equal(now[i]["exp_avg"], old["exp_avg"]) for i, old in optimizer["state"].items())


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_memory_of_a_trial_is_at_least_its_weights_and_states_three_times(k):
    # Its own, those of a paused one, and those in the pack: 64·8+8, 8·8+8 and 8·10+10 weights, and Adam's two of each.
    objective = Training(device="cpu", threads=1)
    states = [objective.start(trial_of(config(0.01), i)) for i in range(4)]
    objective.advance_pack(states)
    memory = objective.pack_cost(states).memory
    assert memory[k] >= k * 3 * 3 * (520 + 72 + 90) * 4


def test_memory_is_that_of_the_tensors_that_are_alive_at_once():
    with _Watch() as watch:
        x = torch.zeros(1000)  # 4,000 bytes
        y = x + 1  # as many, for a while
        x.view(10, 100).add_(1)
        del y
        z = torch.ones(500)
        (x[:500] * z).sum()
    assert watch.most == 4000 + 2000 + 2000 + 4  # x, z, their product, its sum: more than x and y
    assert watch.now == 6000
    del x, z
    assert watch.now == 0


def test_the_free_memory_of_the_cpu_is_no_more_than_it_has():
    import os

    assert 0 < free_memory(torch.device("cpu")) <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
