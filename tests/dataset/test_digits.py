"""scikit-learn's digits: sizes and splits."""

from __future__ import annotations

import pytest
import torch

from hpo_pipeline.dataset.digits import Digits
from hpo_pipeline.errors import ConfigError


def rows(x: torch.Tensor) -> list[bytes]:
    return [row.numpy().tobytes() for row in x]


def test_1797_images_fall_into_1197_for_training_300_for_validation_and_300_for_test():
    splits, (x, y) = Digits().load(), Digits().load_test()
    assert splits.x_train.shape == (1197, 1, 8, 8)
    assert splits.x_validation.shape == (300, 1, 8, 8)
    assert x.shape == (300, 1, 8, 8)
    assert (len(splits.y_train), len(splits.y_validation), len(y)) == (1197, 300, 300)


def test_no_test_image_is_in_another_split_whatever_the_seed():
    test = set(rows(Digits().load_test()[0]))
    for seed in (0, 1):
        splits = Digits(split_seed=seed).load()
        assert test.isdisjoint(rows(splits.x_train) + rows(splits.x_validation))
        assert set(rows(splits.x_train)).isdisjoint(rows(splits.x_validation))


def test_pixels_lie_between_zero_and_one_and_reach_both():
    x = Digits().load().x_train
    assert (x.dtype, x.min(), x.max()) == (torch.float32, 0, 1)


def test_a_validation_set_larger_than_the_data_is_refused():
    with pytest.raises(ConfigError, match="n_validation: must be an integer from 1 to 1496, got 1497"):
        Digits(n_validation=1497)


@pytest.mark.parametrize("file_is_found", [True, False])
def test_images_and_labels_are_those_of_scikit_learn(file_is_found, monkeypatch):
    from sklearn.datasets import load_digits

    if not file_is_found:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    splits, (x, y) = Digits().load(), Digits().load_test()
    ours = [
        (row, label)
        for images, labels in ((splits.x_train, splits.y_train), (splits.x_validation, splits.y_validation), (x, y))
        for row, label in zip(rows(images), labels.tolist(), strict=True)
    ]
    theirs = load_digits()
    pixels = torch.from_numpy(theirs.images).float() / 16
    assert sorted(ours) == sorted(zip(rows(pixels), theirs.target.tolist(), strict=True))
