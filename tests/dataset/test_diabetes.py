"""The regression and the multi-label data that come with scikit-learn."""

from __future__ import annotations

import pytest
import torch

from hpo_pipeline.dataset import checks
from hpo_pipeline.dataset.diabetes import Diabetes
from hpo_pipeline.dataset.multilabel import Multilabel
from hpo_pipeline.errors import ConfigError


def test_measurements_and_targets_are_standardised_on_the_training_part_alone():
    splits = checks.load(Diabetes())
    for part in (splits.x_train, splits.y_train):
        assert torch.allclose(part.mean(0), torch.zeros(part.shape[1]), atol=1e-5)
        assert torch.allclose(part.std(0, correction=0), torch.ones(part.shape[1]), atol=1e-5)
    assert splits.x_validation.mean(0).abs().max() > 1e-3
    assert (len(splits.y_train), len(splits.y_validation), len(Diabetes().load_test()[1])) == (266, 88, 88)


def test_linear_regression_explains_the_half_that_it_is_known_to_explain():
    # R2 of least squares on these data is 0.5 or a little less in cross-validation (scikit-learn's examples: 0.47).
    splits = Diabetes().load()
    x = torch.cat([splits.x_train, torch.ones(len(splits.x_train), 1)], dim=1)
    weights = torch.linalg.lstsq(x, splits.y_train).solution
    left = splits.y_validation - torch.cat([splits.x_validation, torch.ones(88, 1)], dim=1) @ weights
    r2 = 1 - left.square().sum() / (splits.y_validation - splits.y_validation.mean()).square().sum()
    assert 0.3 < r2 < 0.65


@pytest.mark.parametrize("make", [Diabetes, Multilabel])
def test_no_example_is_in_two_parts_and_the_same_arguments_give_the_same_data(make):
    splits, again = make().load(), make().load()
    x_test, y_test = checks.load_test(make(), splits)
    assert torch.equal(splits.x_train, again.x_train)
    assert torch.equal(splits.y_validation, again.y_validation)
    if make is Diabetes:  # counts of words can be equal by chance
        rows = torch.cat([splits.x_train, splits.x_validation, x_test])
        assert len(rows.unique(dim=0)) == len(rows) == 442
    assert len(x_test) == len(y_test)


def test_another_split_keeps_the_patients_of_the_test():
    other = Diabetes(n_validation=50, split_seed=3)
    assert len(other.load().y_validation) == 50
    # Standardised by other means and deviations, they are the same up to a line in each column.
    a, b = Diabetes().load_test()[1].flatten(), other.load_test()[1].flatten()
    assert torch.corrcoef(torch.stack([a, b]))[0, 1] == pytest.approx(1.0, abs=1e-6)


def test_labels_are_as_many_as_asked_and_not_all_alike():
    splits = checks.load(Multilabel(n=500, n_features=12, n_labels=4))
    assert splits.x_train.shape == (300, 12)
    assert splits.y_validation.shape == (100, 4)
    assert all(0.05 < share < 0.95 for share in splits.y_train.mean(0).tolist())


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: Diabetes(n_validation=354), "n_validation"),
        (lambda: Multilabel(n=2), "n"),
        (lambda: Multilabel(n_labels=0), "n_labels"),
        (lambda: Multilabel(seed=-1), "seed"),
    ],
)
def test_wrong_arguments_are_refused(make, path):
    with pytest.raises(ConfigError) as caught:
        make()
    assert [problem.path for problem in caught.value.problems] == [path]
