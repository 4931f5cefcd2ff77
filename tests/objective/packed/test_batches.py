"""Every trial sees each of its batches once, in its order, close to the others."""

import pytest

torch = pytest.importorskip("torch")

from hpo_pipeline.objective.packed.batches import Batches, plan  # noqa: E402


def test_trials_with_one_batch_size_step_together():
    steps = [step for stretch in plan(10, [4, 4]) for step in stretch]
    assert [step.starts for step in steps] == [[0, 0], [4, 4], [8, 8]]
    assert [step.lengths for step in steps] == [[4, 4], [4, 4], [2, 2]]


def test_smaller_batches_take_more_steps_on_each_stretch():
    stretches = [[step.starts for step in stretch] for stretch in plan(8, [2, 4])]
    assert stretches == [[[0, 0], [2]], [[4, 4], [6]]]


@pytest.mark.parametrize(
    ("n", "sizes"), [(140, [68, 70]), (97, [1, 2, 3, 50]), (5, [7, 9]), (1000, [8, 9, 31, 64, 127, 128]), (1, [1])]
)
def test_all_walk_through_all_examples_in_step(n, sizes):
    at = [0] * len(sizes)
    for number, stretch in enumerate(plan(n, sizes), start=1):
        for step in stretch:
            assert step.starts == at[: len(step.starts)]
            assert step.lengths == [min(size, n - k) for k, size in zip(at, sizes, strict=False)][: len(step.starts)]
            assert min(step.lengths) > 0
            at = [k + size * (i < len(step.starts)) for i, (k, size) in enumerate(zip(at, sizes, strict=True))]
        end = number * sizes[-1]
        assert min(at) >= min(n, end)
        assert max(at) <= end + 2 * sizes[-1]
    assert min(at) >= n


@pytest.mark.parametrize("stacked", [False, True])
def test_each_trial_sees_its_own_batches(stacked):
    x, y = torch.arange(20.0).view(20, 1), torch.arange(20) * 10
    one, other = torch.randperm(20, generator=torch.Generator().manual_seed(0)), torch.arange(20)
    sizes, orders = [3, 3, 3, 8], [one, one, other, one]
    batches = Batches(x, y, sizes, orders, stacked=stacked)
    assert [(group.start, group.stop) for group in batches.groups] == [(0, 2), (2, 3), (3, 4)]
    seen = [([], []) for _ in sizes]
    for batch in batches:
        for k in range(len(batch)):
            group = [k < 2, k == 2, k == 3].index(True)
            inputs = batch.inputs[k] if stacked else batch.inputs[group]
            seen[k][0].extend(inputs[: batch.lengths[k], 0].tolist())
            seen[k][1].extend(batch.targets[k, : batch.lengths[k]].tolist())
    for (images, classes), order in zip(seen, orders, strict=True):
        assert images == order.tolist()
        assert classes == (order * 10).tolist()
