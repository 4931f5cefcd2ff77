"""PriorBand: the shares of its three sources, what each of them draws, and who tells it the first rung."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from heard import evaluated, started
from scipy import integrate, stats

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.hyperband import Hyperband
from hpo_pipeline.searcher.priorband import PriorBand, variation
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.space import Choice, Float, Prior, SearchSpace
from hpo_pipeline.trial import Job

X = {"type": "float", "low": 0.0, "high": 1.0}
SPACE = SearchSpace.parse({"x": {**X, "prior": {"center": 0.2}}})


def truncated_normal(center, deviation=0.25):
    return stats.truncnorm(-center / deviation, (1 - center) / deviation, loc=center, scale=deviation)


def observed(searcher, scores, resource=1, first=0):
    """Tells `searcher` of one trial after another: x -> score."""
    for trial_id, (x, score) in enumerate(scores, start=first):
        started(searcher, trial_id, {"x": x})
        evaluated(searcher, trial_id, {"x": x}, resource, score)
    return searcher


# -- densities of priors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("confidence", "deviation"), [("low", 0.5), ("medium", 0.25), ("high", 0.125)])
@pytest.mark.parametrize("center", [0.0, 0.3, 1.0])
def test_the_density_of_a_prior_on_a_scale_is_that_of_the_truncated_normal(center, confidence, deviation):
    prior, domain = Prior(center, confidence), Float(0.0, 1.0)
    at = np.linspace(0, 1, 11)
    expected = truncated_normal(center, deviation).pdf(at)
    assert [prior.pdf(domain, u) for u in at] == pytest.approx(expected)


@pytest.mark.parametrize(("confidence", "weight"), [("low", 2), ("medium", 4), ("high", 6)])
def test_the_density_of_a_prior_on_choices_has_their_probabilities_as_integrals_over_their_bins(confidence, weight):
    prior, domain = Prior("b", confidence), Choice(["a", "b", "c"])
    bins = [integrate.quad(lambda u: prior.pdf(domain, u), i / 3, (i + 1) / 3)[0] for i in range(3)]
    assert bins == pytest.approx([p / (weight + 2) for p in (1, weight, 1)])


# -- shares ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first_rung", "uniform"), [(0, 1 / 2), (1, 1 / 4), (2, 1 / 10), (3, 1 / 28), (4, 1 / 82)])
def test_the_share_of_uniform_samples_falls_geometrically_with_the_first_rung(first_rung, uniform):
    shares = PriorBand(SPACE, 0, max_resource=81, eta=3).shares(first_rung)
    assert shares == pytest.approx((uniform, 1 - uniform, 0))


def test_the_incumbent_has_no_share_before_eta_times_the_maximum_resource_is_spent():
    searcher = observed(PriorBand(SPACE, 0, max_resource=2, eta=2), [(0.1, 1.0), (0.2, 2.0), (0.3, 3.0)])
    assert searcher.shares().incumbent == 0
    assert observed(searcher, [(0.4, 4.0)], first=3).shares().incumbent > 0


def test_resource_counts_once_for_a_trial_that_went_through_several_rungs():
    searcher = PriorBand(SPACE, 0, max_resource=4, eta=2)
    for resource in (1, 2, 3):
        observed(searcher, [(0.1, 1.0), (0.2, 2.0)], resource)
    assert searcher.shares().incumbent == 0  # 3 + 3 of 8
    assert observed(searcher, [(0.1, 1.0), (0.2, 2.0)], 4).shares().incumbent > 0


def test_the_incumbent_has_no_share_before_a_rung_has_eta_finite_evaluations():
    scores = [(0.1, 1.0), (0.2, math.inf), (0.3, math.inf), (0.4, 2.0)]
    searcher = observed(PriorBand(SPACE, 0, max_resource=1, eta=3), scores)
    assert searcher.shares().incumbent == 0
    assert observed(searcher, [(0.5, 3.0)], first=4).shares().incumbent > 0


def test_prior_and_incumbent_share_by_the_weighted_densities_of_the_best():
    """n = 6, eta = 3: the best two count, 2 to 1. x = 0.9 is the incumbent, 0.7 the second."""
    scores = [(0.1, 5.0), (0.7, 2.0), (0.5, 4.0), (0.9, 1.0), (0.3, 3.0), (0.2, 6.0)]
    searcher = observed(PriorBand(SPACE, 0, max_resource=1, eta=3), scores)
    prior, near = truncated_normal(0.2), truncated_normal(0.9)
    s_prior, s_near = (2 * law.pdf(0.9) + law.pdf(0.7) for law in (prior, near))
    for first_rung, rest in ((0, 1 / 2), (2, 9 / 10)):
        shares = searcher.shares(first_rung)
        assert shares.incumbent == pytest.approx(rest * s_near / (s_near + s_prior))
        assert shares.prior == pytest.approx(rest * s_prior / (s_near + s_prior))
        assert sum(shares) == pytest.approx(1)


def test_the_highest_rung_with_eta_evaluations_is_the_one_that_counts():
    searcher = observed(PriorBand(SPACE, 0, max_resource=1, eta=2), [(0.2, 3.0), (0.2, 4.0), (0.5, 6.0)])
    observed(searcher, [(0.9, 1.0), (0.7, 2.0)], resource=3, first=3)
    observed(searcher, [(0.4, 5.0)], resource=9, first=5)
    near, prior = truncated_normal(0.9).pdf(0.9), truncated_normal(0.2).pdf(0.9)
    assert searcher.shares().incumbent == pytest.approx(near / (near + prior) / 2)


def test_no_more_than_the_best_32_of_a_rung_are_asked():
    scores = [(0.9, 0.0)] * 32 + [(0.2, 1.0)] * 68
    searcher = observed(PriorBand(SPACE, 0, max_resource=1, eta=2), scores)
    near, prior = truncated_normal(0.9).pdf(0.9), truncated_normal(0.2).pdf(0.9)
    assert searcher.shares().incumbent == pytest.approx(near / (near + prior) / 2)


def test_a_good_prior_keeps_more_than_a_bad_one():
    good, bad = (
        observed(PriorBand(SPACE, 0, max_resource=1, eta=3), [(best, 1.0), (0.5, 2.0), (0.6, 3.0)]).shares()
        for best in (0.2, 0.9)
    )
    assert good.prior > bad.prior


def test_shares_stay_finite_with_a_hundred_hyperparameters_far_from_their_priors():
    tree = {f"x{i}": {**X, "prior": {"center": 0.0, "confidence": "high"}} for i in range(100)}
    searcher = PriorBand(SearchSpace.parse(tree), 0, max_resource=1, eta=2)
    for trial_id in range(2):
        evaluated(searcher, trial_id, dict.fromkeys(tree, 1.0), 1, float(trial_id))
    assert searcher.shares() == pytest.approx((0.5, 0, 0.5))


# -- samples ---------------------------------------------------------------------------------------------------------


def test_without_observations_samples_follow_the_mixture_of_uniform_and_prior():
    searcher = PriorBand(SPACE, 0, max_resource=9, eta=3)
    for first_rung, uniform in ((0, 1 / 2), (2, 1 / 10)):
        drawn = [searcher.suggest(i, first_rung).config["x"] for i in range(1500)]
        law = truncated_normal(0.2)
        mixture = stats.kstest(drawn, lambda x, u=uniform, law=law: u * x + (1 - u) * law.cdf(x))
        assert mixture.pvalue > 0.01


def test_a_variation_keeps_half_of_the_hyperparameters_and_draws_the_others_around_them():
    space = SearchSpace.parse({f"x{i}": X for i in range(10)})
    config = {f"x{i}": 0.9 for i in range(10)}
    rng = np.random.default_rng(0)
    values = [value for _ in range(200) for value in variation(space, config, rng).values()]
    changed = [value for value in values if value != 0.9]
    assert stats.binomtest(len(changed), len(values), 0.5).pvalue > 0.01
    assert stats.kstest(changed, truncated_normal(0.9).cdf).pvalue > 0.01


def test_a_choice_of_the_incumbent_is_kept_or_drawn_again_with_four_times_the_weight():
    space = SearchSpace.parse({"a": {"type": "choice", "choices": ["x", "y", "z"]}})
    rng = np.random.default_rng(0)
    drawn = Counter(variation(space, {"a": "y"}, rng)["a"] for _ in range(3000))
    expected = [3000 * p for p in (1 / 12, 1 / 2 + 1 / 3, 1 / 12)]  # half kept, and 4 of 6 of the other half
    assert stats.chisquare([drawn[a] for a in "xyz"], expected).pvalue > 0.01


def test_hyperparameters_that_a_changed_choice_brings_come_from_their_priors():
    lr = {**X, "prior": {"center": 0.8, "confidence": "high"}}
    tree = {"a": {"type": "choice", "choices": {"x": {"b": {"lr": X}}, "y": {"b": {"lr": lr}}}}}
    space = SearchSpace.parse(tree)
    rng = np.random.default_rng(0)
    varied = [variation(space, {"a": "x", "a.b.lr": 0.1}, rng) for _ in range(2000)]
    drawn = [config["a.b.lr"] for config in varied if config["a"] == "y"]
    assert stats.kstest(drawn, truncated_normal(0.8, 0.125).cdf).pvalue > 0.01


def test_variations_meet_the_constraints():
    tree = {"a": {"type": "int", "low": 1, "high": 9}, "b": {"type": "int", "low": 1, "high": 9}}
    space = SearchSpace.parse({**tree, "constraints": ["b <= a"]})
    rng = np.random.default_rng(0)
    assert all(not space.contains(variation(space, {"a": 3, "b": 3}, rng)) for _ in range(100))


# -- rungs ----------------------------------------------------------------------------------------------------------


class Levels(PriorBand):
    """Notes the first rung of each suggestion."""

    def suggest(self, trial_id, first_rung=0):
        self.asked = {**getattr(self, "asked", {}), trial_id: first_rung}
        return super().suggest(trial_id, first_rung)


def test_hyperband_gives_the_level_that_its_brackets_begin_at():
    searcher = Levels(SPACE, 0, max_resource=9)
    scheduler = Hyperband(TrialGenerator(searcher, SPACE, 22), eta=3, min_resource=1, max_resource=9)
    while isinstance(scheduler.next_job(), Job):
        pass
    assert list(searcher.asked.values()) == [0] * 9 + [1] * 5 + [2] * 3 + [0] * 5  # brackets of 9, 5 and 3, and again


def test_asynchronous_hyperband_gives_the_number_of_the_bracket():
    searcher = Levels(SPACE, 0, max_resource=9)
    scheduler = ASHA(TrialGenerator(searcher, SPACE, 50), eta=3, min_resource=1, max_resource=9, brackets=3)
    brackets = {}
    while isinstance(job := scheduler.next_job(), Job):
        brackets[job.trial.id] = job.bracket
    assert set(brackets.values()) == {0, 1, 2}
    assert {trial_id: searcher.asked[trial_id] for trial_id in brackets} == brackets


# -- mistakes --------------------------------------------------------------------------------------------------------


def test_a_space_without_any_prior_is_refused_with_what_to_write():
    with pytest.raises(ConfigError) as caught:
        PriorBand(SearchSpace.parse({"optimizer": {"lr": X}}), 0, max_resource=9)
    assert caught.value.lines == [
        "_target_: PriorBand needs to know where good values are believed to lie, and no hyperparameter has a prior; "
        "add some, e.g. '+search_space.optimizer.lr.prior={center: 0.5}'"
    ]


def test_wrong_arguments_are_refused_all_at_once():
    with pytest.raises(ConfigError) as caught:
        PriorBand(SPACE, 0, max_resource=0, eta=1)
    assert caught.value.lines == [
        "max_resource: must be an integer of at least 1, got 0",
        "eta: must be an integer of at least 2, got 1",
    ]


def test_priors_that_contradict_the_constraints_are_refused():
    prior = {"center": 0.0, "confidence": "high"}
    tree = {"x": {**X, "prior": prior}, "y": {**X, "prior": prior}, "constraints": ["x + y > 1.5"]}
    with pytest.raises(ConfigError, match="of 100000 samples from the priors meet them"):
        PriorBand(SearchSpace.parse(tree), 0, max_resource=9)
