"""Batches: the same with any number of workers, in memory or from a map-style dataset; the workers end."""

# ruff: noqa: NPY002  (the global generators are what this is about)

import multiprocessing
import random

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from hpo_pipeline.dataset import MapSplits, Splits
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.objective.augment import Augment
from hpo_pipeline.objective.loader import Loading, evaluation_batches, joined, n_train, seeded, training_batches

CPU = torch.device("cpu")
ERASE = [{"_target_": "torchvision.transforms.v2.RandomErasing"}]


class Noisy(Dataset):
    """Examples with numbers from all three global generators."""

    def __len__(self):
        return 7

    def __getitem__(self, index):
        return torch.tensor([index, torch.rand(()), np.random.rand(), random.random()]), index


def in_memory(n=10):
    x = torch.rand(n, 1, 5, 5, generator=torch.Generator().manual_seed(1))
    return Splits(x, torch.arange(n) % 2, x[:4], torch.arange(4) % 2, 2)


def as_maps(splits):
    train = TensorDataset(splits.x_train, splits.y_train)
    return MapSplits(train, TensorDataset(splits.x_validation, splits.y_validation), splits.task)


def taken(data, seed=5, order=None, **loading):
    order = torch.arange(n_train(data)).flip(0) if order is None else order
    return list(training_batches(data, order, Loading(3, CPU, **loading), seed))


def same(some, others):
    pairs = list(zip(some, others, strict=True))
    return all(torch.equal(x, u) and torch.equal(y, v) and x.dtype == u.dtype for (x, y), (u, v) in pairs)


def test_a_map_style_dataset_gives_the_batches_of_the_tensors_that_it_holds():
    splits = in_memory()
    assert same(taken(splits), taken(as_maps(splits)))
    assert [len(y) for _, y in taken(splits)] == [3, 3, 3, 1]
    validation = [(splits.x_validation, splits.y_validation)]
    assert same(evaluation_batches(as_maps(splits).validation, Loading(3, CPU)), validation)


def test_the_numbers_are_the_same_with_0_1_and_2_workers_and_none_of_the_trainings_own_are_drawn():
    data = MapSplits(Noisy(), Noisy(), Task("classification", 7))
    torch.manual_seed(11)
    before = torch.get_rng_state()
    runs = [taken(data, n_workers=n) for n in (0, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])
    assert [len(x) for x, _ in runs[0]] == [3, 3, 1]
    drawn = torch.cat([x for x, _ in runs[0]])[:, 1:]
    assert len(drawn.unique()) == drawn.numel()
    assert not multiprocessing.active_children()


def test_augmented_tensors_in_memory_are_the_same_with_and_without_workers():
    data, augment = in_memory(), Augment(ERASE)
    alone, loaded = (taken(data, n_workers=n, augment=augment) for n in (0, 2))
    assert same(alone, loaded)
    assert same(alone, taken(as_maps(data), augment=augment))
    assert not same(alone, taken(data))
    assert not same(alone, taken(data, seed=6, augment=augment))


def test_workers_end_when_a_pass_is_broken_off():
    batches = training_batches(
        MapSplits(Noisy(), Noisy(), Task("classification", 7)), torch.arange(7), Loading(1, CPU, n_workers=2), 0
    )
    next(batches)
    assert len(multiprocessing.active_children()) == 2
    batches.close()
    assert not multiprocessing.active_children()


class Broken(Noisy):
    def __getitem__(self, index):
        raise OSError(f"no example {index}")


@pytest.mark.parametrize("n_workers", [0, 1])
def test_what_a_dataset_raises_is_raised(n_workers):
    data = MapSplits(Broken(), Broken(), Task("classification", 7))
    with pytest.raises(OSError, match="no example 6"):
        taken(data, n_workers=n_workers)
    assert not multiprocessing.active_children()


def test_joined_has_all_examples_and_leaves_none_for_validation():
    data = joined(as_maps(in_memory()))
    assert (n_train(data), len(data.validation)) == (14, 0)
    assert torch.equal(data.train[10][0], in_memory().x_validation[0])


def test_large_examples_are_evaluated_few_at_a_time():
    x = torch.zeros(5, 3, 1000, 1000)
    batches = evaluation_batches(TensorDataset(x, torch.zeros(5, dtype=torch.int64)), Loading(64, CPU))
    assert [len(y) for _, y in batches] == [1] * 5


def test_seeded_gives_the_global_generators_back_as_they_were():
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    plain = torch.rand(3).tolist(), random.random(), np.random.rand()
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    with seeded(77):
        inside = torch.rand(1).item(), random.random(), np.random.rand()
    with seeded(77):
        assert inside == (torch.rand(1).item(), random.random(), np.random.rand())
    assert plain == (torch.rand(3).tolist(), random.random(), np.random.rand())


class Multiplied(Noisy):
    def __getitem__(self, index):
        return torch.full((200, 200), float(index)) @ torch.eye(200), index


def test_workers_of_a_process_with_many_threads_compute_without_waiting_for_them():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        torch.ones(500, 500) @ torch.ones(500, 500)  # now they are there
        data = MapSplits(Multiplied(), Multiplied(), Task("classification", 7))
        assert [x[0, 0, 0].item() for x, _ in taken(data, n_workers=2)] == [6.0, 3.0, 0.0]
    finally:
        torch.set_num_threads(before)
