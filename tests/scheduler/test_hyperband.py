import pytest

from hpo_pipeline.budget import Budget
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.scheduler.hyperband import Hyperband, plans
from hpo_pipeline.simulation import simulate


def test_the_brackets_of_algorithm_1_for_81_and_3():
    assert [plan.sizes for plan in plans(1, 81, 3)] == [(81, 27, 9, 3, 1), (34, 11, 3, 1), (15, 5, 1), (8, 2), (5,)]
    assert [plan.resources for plan in plans(1, 81, 3)] == [
        *[(1, 3, 9, 27, 81), (3, 9, 27, 81), (9, 27, 81), (27, 81), (81,)]
    ]
    assert sum(sum(plan.sizes) for plan in plans(1, 81, 3)) == 206


def test_rung_counts_are_exact_where_logarithms_are_not():
    # math.log(243, 3) is 4.999... and math.log(1000, 10) is 2.999...
    assert [len(plan.sizes) for plan in plans(1, 243, 3)] == [6, 5, 4, 3, 2, 1]
    assert plans(1, 243, 3)[0].sizes == (243, 81, 27, 9, 3, 1)
    assert [plan.sizes for plan in plans(1, 1000, 10)] == [(1000, 100, 10, 1), (134, 13, 1), (20, 2), (4,)]


def test_resources_are_rounded_down_where_the_maximum_is_no_power():
    assert plans(1, 100, 3)[0].resources == (1, 3, 11, 33, 100)


def test_a_bracket_costs_what_its_trials_train_and_no_more():
    # 81 to 1, 27 on to 3, 9 to 9, 3 to 27, 1 to 81: 81 + 27·2 + 9·6 + 3·18 + 54.
    assert plans(1, 81, 3)[0].cost() == 297


def test_all_brackets_run_in_turn_and_begin_again():
    outcome = simulate(
        lambda trials: Hyperband(trials, 3, 1, 9),
        lambda i, _c, r: i + 1 / r,
        budget=Budget(n_trials=9 + 5 + 3 + 9),
    )
    sizes = {}
    for record in outcome.records:
        if record["event"] == "rung":
            sizes.setdefault(record["bracket"], []).append(record["resource"])
    # s = 2: 9, 3, 1 twice; s = 1: 5 to 3 and 1 to 9; s = 0: 3 to 9.
    assert {s: {r: at.count(r) for r in set(at)} for s, at in sizes.items()} == {
        2: {1: 18, 3: 6, 9: 2},
        1: {3: 5, 9: 1},
        0: {9: 3},
    }


def test_the_table_is_told_before_the_study_starts():
    text = Hyperband(None, 3, 1, 81).describe()
    assert "bracket 4: 81 to 1, 27 to 3, 9 to 9, 3 to 27, 1 to 81; 121 evaluations, total cost 297" in text
    assert "once through: 143 trials, 206 evaluations" in text


def test_wrong_keys_are_named():
    with pytest.raises(ConfigError, match="min_resource: must be at most max_resource"):
        Hyperband(None, 3, 10, 9)
