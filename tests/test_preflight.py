"""Values that could not work are found before anything starts."""

from __future__ import annotations

import pytest
from commands import compose

pytest.importorskip("torch")

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.preflight import check_study, check_training

QUIET = ("dataset=digits", "executor=serial", "tracker=none")


def problems(*overrides: str, program: str = "tune") -> list[str]:
    """What is wrong with a study, or a training, of small images."""
    check = check_study if program == "tune" else check_training
    quiet = QUIET if program == "tune" else [word for word in QUIET if not word.startswith("executor")]
    try:
        check(compose(*quiet, *overrides, program=program), data=False)
    except ConfigError as error:
        return error.problems
    return []


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["search_space.model.n_units_1=abc"], "search_space.model.n_units_1: abc: must be an integer of at least 1"),
        (["search_space.optimizer.lr=-1"], "search_space.optimizer.lr: -1: optimizer: torch.optim.Adam refuses"),
        (["search_space.dataset.batch_size=0"], "search_space.dataset.batch_size: 0: must be an integer of at least 1"),
        (["search_space.dataset.batch_size.low=0"], "search_space.dataset.batch_size: 0: must be an integer"),
        (["search_space.model.dropout_1.high=1.5"], "search_space.model.dropout_1: 1.5: must be a number in [0, 1)"),
        (
            ["+search_space.model.activation={type: choice, choices: [relu, tanhh]}"],
            "search_space.model.activation: tanhh: unknown name 'tanhh'; choose one of",
        ),
        (
            ["+search_space.objective.grad_clip={type: float, low: -1, high: 2}"],
            "search_space.objective.grad_clip: -1: must be a positive number or null",
        ),
        (
            ["search_space=mlp_optimizers", "search_space.optimizer.choices.sgd.momentum.low=-1"],
            "search_space.optimizer.momentum: -1: optimizer: torch.optim.SGD refuses",
        ),
    ],
)
def test_a_value_of_the_search_space_that_no_trial_can_have_is_reported_once(overrides, found):
    (line,) = problems(*overrides)
    assert line.startswith(found)


def test_every_wrong_choice_is_reported():
    lines = problems("+search_space.model.activation={type: choice, choices: [tanhh, relu, rellu]}")
    assert [line.split(": ")[1] for line in lines] == ["tanhh", "rellu"]


def test_what_is_wrong_without_the_search_space_is_not_reported_again_for_its_values():
    (line,) = problems("model.activation=tanhh")
    assert line.startswith("model.activation: ")


def test_only_the_samples_that_the_constraints_allow_are_looked_at():
    space = ("search_space.model.n_units_2.low=0",)
    assert problems(*space)
    assert not problems(*space, "+search_space.constraints=['model.n_units_2 >= 1']")


def test_a_parameter_is_looked_at_where_its_conditions_hold():
    width = "{type: int, low: 0, high: 9, when: {model.n_layers: 6}}"
    (line,) = problems("model=deep_mlp", "~search_space.model.n_units_6", f"+search_space.model.n_units_6={width}")
    assert line.startswith("search_space.model.n_units_6: 0: ")


def test_a_bound_that_only_the_bound_itself_breaks_is_no_problem():
    assert problems("search_space.model.dropout_1.high=1.0") == []


def test_an_objective_that_says_nothing_about_values_is_not_asked():
    assert problems("objective=function", "metric=loss", "search_space.model.n_units_1=abc") == []


@pytest.mark.parametrize("program", ["tune", "train"])
def test_a_model_that_has_no_score_for_some_classes_starts_nothing(program):
    lines = problems("model=softmax", "model._target_=torch.nn.Flatten", program=program)
    assert lines == ["model: gives scores of shape (2, 64), (2, 10) are needed"]


def test_the_schedule_is_looked_at_up_to_the_last_epoch_of_the_training():
    one_cycle = "lr_schedule={_target_: torch.optim.lr_scheduler.OneCycleLR, max_lr: 1, total_steps: 9}"
    given = ("+" + one_cycle, "+lr_schedule.cycle_momentum=false", "max_resource=4")
    assert problems(*given, "resource=9", program="train") == []
    (line,) = problems(*given, "resource=11", program="train")
    assert line.startswith("lr_schedule: ")


def test_a_bound_of_a_schedules_length_is_looked_at():
    (line,) = problems("lr_schedule=cosine", "+search_space.lr_schedule.T_max={type: int, low: -3, high: 9}")
    assert line == "search_space.lr_schedule.T_max: -3: must be an integer of at least 1"


def test_everything_that_is_wrong_with_the_objective_is_listed_at_once():
    lines = problems("objective.device=gpu", "objective.grad_clip=-1")
    assert sorted(line.partition(":")[0] for line in lines) == ["objective.device", "objective.grad_clip"]


@pytest.mark.parametrize("schedule", ["none", "cosine"])
def test_a_wrong_root_key_is_not_reported_again_where_a_group_refers_to_it(schedule):
    assert problems("max_resource=0", f"lr_schedule={schedule}") == ["max_resource: must be at least 1, got 0"]


def test_a_groups_own_wrong_value_is_reported_beside_the_root_keys():
    lines = problems("max_resource=0", "scheduler.max_resource=-1")
    assert [line.partition(":")[0] for line in lines] == ["max_resource", "scheduler.max_resource"]
