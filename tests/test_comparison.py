"""Studies compared: methods, medians, ranks, times to a target, and what is refused."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import pytest
from written_journal import Written, of_method

from hpo_pipeline import compare
from hpo_pipeline.errors import StudyError
from hpo_pipeline.report.comparison import words

FIFO, ASHA = ({"scheduler": name, "searcher": "random"} for name in ("fifo", "asha"))


def three_and_three() -> list[Path]:
    """fifo comes to 0.3, 0.4 and 0.5, asha to 0.1, 0.2 and 0.4: a value after each of 3 epochs."""
    fifo = [of_method(f"fifo-{seed}", [0.9, 0.8, (3 + seed) / 10], seed=seed, choices=FIFO) for seed in range(3)]
    last = (0.1, 0.2, 0.4)
    asha = [of_method(f"asha-{seed}", [0.9, 0.7, last[seed]], seed=seed, choices=ASHA) for seed in range(3)]
    return [*fifo, *asha]


def refused(*folders: str | Path, **options: object) -> str:
    with pytest.raises(StudyError) as error:
        compare(*folders, **options)  # type: ignore[arg-type]
    return str(error.value)


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_methods_are_told_by_median_and_quartiles_the_best_first():
    table = compare(*three_and_three()).table
    assert list(table.index) == ["asha", "fifo"]
    assert table.loc["asha", ["lower_quartile", "median", "upper_quartile"]].tolist() == pytest.approx([0.15, 0.2, 0.3])
    assert table.loc["fifo", ["lower_quartile", "median", "upper_quartile"]].tolist() == pytest.approx(
        [0.35, 0.4, 0.45]
    )


def test_the_target_is_the_worst_final_median_and_a_seed_that_never_got_there_counts_as_never():
    comparison = compare(*three_and_three())
    assert comparison.found.target == pytest.approx(0.4)
    table = comparison.table
    assert table["reached_target"].to_dict() == {"asha": 3, "fifo": 2}
    assert table["resource_to_target"].tolist() == [3, 3]
    assert table["seconds_to_target"].tolist() == [6, 6]
    early = compare(*(Path(f"{name}-{seed}") for name in ("asha", "fifo") for seed in range(3)), target=0.25).table
    assert early["reached_target"].tolist() == [2, 0]
    assert early["resource_to_target"].tolist()[0] == 3
    assert math.isnan(early["resource_to_target"].tolist()[1])


def test_of_an_even_number_of_which_half_never_got_there_the_median_is_never():
    a = [of_method(f"a{seed}", [0.1 if seed else 0.9], seed=seed, choices=FIFO) for seed in range(2)]
    b = [of_method(f"b{seed}", [0.1], seed=seed, choices=ASHA) for seed in range(2)]
    table = compare(*a, *b, target=0.1).table
    assert table["reached_target"].to_dict() == {"asha": 2, "fifo": 1}
    assert math.isnan(table.loc["fifo", "resource_to_target"])


def test_a_maximised_metric_has_its_lower_quartile_below_and_the_highest_first():
    for seed, value in enumerate((0.5, 0.7)):
        of_method(f"a{seed}", [value], seed=seed, choices=FIFO, mode="max")
        of_method(f"b{seed}", [value + 0.2], seed=seed, choices=ASHA, mode="max")
    comparison = compare("a0", "a1", "b0", "b1")
    table = comparison.table
    assert list(table.index) == ["asha", "fifo"]
    assert table.loc["fifo", ["lower_quartile", "median", "upper_quartile"]].tolist() == pytest.approx(
        [0.55, 0.6, 0.65]
    )
    assert comparison.found.target == pytest.approx(0.6)
    assert table["reached_target"].tolist() == [2, 1]


def test_ranks_are_over_the_seeds_that_all_methods_have_when_so_much_was_spent():
    for i, name in enumerate(("a", "b", "c")):
        for seed in range(4):
            # after 1 epoch all are alike, after 4 they are in order; the last seed is missing of c
            if (name, seed) != ("c", 3):
                of_method(f"{name}{seed}", [0.9, 0.9, 0.9, i / 10], seed=seed, choices={"scheduler": name})
    comparison = compare(*(path.parent for path in Path().glob("*/journal.jsonl")))
    ranks = comparison.ranks[comparison.ranks["by"] == "resource"]
    assert ranks["spent"].unique().tolist() == [1, 2, 4]
    assert set(ranks["blocks"]) == {3}
    assert ranks["rank"].tolist() == [2, 2, 2, 2, 2, 2, 1, 2, 3]
    # by the table: 2.343 √(3·4 / 18) = 1.913
    assert ranks["critical_difference"].tolist() == pytest.approx([1.913] * 9, abs=0.001)
    assert words.ranks_text(comparison.found, words.at_end(comparison.found)).endswith(": at the end a and c do.")


def test_where_there_are_too_few_seeds_no_ranks_are_told():
    comparison = compare(*three_and_three())
    assert comparison.ranks.empty
    assert comparison.table["rank"].isna().all()
    said = words.ranks_text(comparison.found, words.at_end(comparison.found))
    assert said.startswith("Ranks of 2 methods over 3 seeds would say nothing")
    assert said.endswith("It takes 4 seeds or more.")


def test_methods_without_a_common_seed_have_no_ranks():
    of_method("a", [0.1], seed=0, choices=FIFO)
    of_method("b", [0.2], seed=1, choices=ASHA)
    found = compare("a", "b").found
    assert (
        words.ranks_text(found, words.at_end(found)) == "There are no ranks: no seed was run with all of the methods."
    )


def test_what_differs_within_a_method_makes_pairs_of_its_own_for_the_ranks():
    for task, base in (("iris", 0.0), ("wine", 5.0)):
        for seed in range(2):
            of_method(f"f-{task}{seed}", [base + 2], seed=seed, choices={"scheduler": "fifo", "dataset": task})
            of_method(f"a-{task}{seed}", [base + 1], seed=seed, choices={"scheduler": "asha", "dataset": task})
    folders = [path.parent for path in Path().glob("*/journal.jsonl")]
    found = compare(*folders, by="scheduler").found
    ranks = words.at_end(found).ranks
    assert ranks is not None
    assert (ranks.n_tasks, ranks.average.tolist()) == (4, [1.0, 2.0])
    assert "Within a method dataset differs: its median is over all of them." in found.notes
    by_all = compare(*folders)
    assert set(by_all.table.index) == {"asha + iris", "asha + wine", "fifo + iris", "fifo + wine"}
    assert any(note.startswith("They have different data (dataset)") for note in by_all.found.notes)


def test_a_study_that_was_broken_off_counts_up_to_where_it_came():
    for seed in range(2):
        of_method(f"f{seed}", [0.9, 0.5, 0.3, 0.2], seed=seed, choices=FIFO)
        values = [0.8, 0.4, 0.1, 0.1] if seed else [0.7]
        of_method(f"a{seed}", values, seed=seed, choices=ASHA, end="completed" if seed else None)
    found = compare("f0", "f1", "a0", "a1").found
    asha = next(method for method in found.methods if method.name == "asha")
    amounts, quartiles = asha.curve("resource")
    medians = dict(zip(amounts.tolist(), quartiles[1].tolist(), strict=True))
    assert medians[1.0] == pytest.approx(0.75)
    assert medians[2.0] == pytest.approx(0.4)  # of the other one alone
    assert [note for note in found.notes if note.startswith("a0 ")] == [
        "a0 is broken off: it counts up to where it came, 1 epoch."
    ]


def test_a_study_that_ended_early_keeps_its_best():
    of_method("f0", [0.9, 0.5, 0.3], seed=0, choices=FIFO)
    of_method("f1", [0.1], seed=1, choices=FIFO)
    of_method("a0", [0.9], seed=0, choices=ASHA)
    fifo = compare("f0", "f1", "a0").found.methods[0]
    amounts, quartiles = fifo.curve("resource")
    assert dict(zip(amounts.tolist(), quartiles[1].tolist(), strict=True))[3.0] == pytest.approx(0.2)


def test_all_diverged_or_failed_is_the_worst_and_is_told():
    of_method("a", [math.nan, math.inf], choices=FIFO)
    of_method("b", [0.5], choices=ASHA)
    comparison = compare("a", "b")
    assert list(comparison.table.index) == ["asha", "fifo"]
    assert math.isnan(comparison.table.loc["fifo", "median"])
    assert comparison.found.target == 0.5
    assert "a has no usable value: it counts as the worst." in comparison.found.notes
    of_method("c", [math.nan], choices=FIFO)
    nothing = compare("a", "c")
    assert nothing.found.target is None
    assert words.found_text(nothing.found) == "No method has a usable value."
    assert nothing.write("x.html").is_file()


def test_another_metric_is_asked_for_by_its_name():
    for name, choices in (("a", FIFO), ("b", ASHA)):
        study = Written(name=name, metrics={"loss": "min", "size": "max"})
        study.job(0, 1)
        study.report(0, 1, 0.5, size=3.0, other=7.0)
        study.add("end", state="completed", reason="")
        study.save(name, f"choices: {{scheduler: {choices['scheduler']}}}\n")
    assert compare("a", "b").table["median"].tolist() == [0.5, 0.5]
    assert "They have several metrics, and are compared by one of them alone." in compare("a", "b").found.notes
    assert str(compare("a", "b", metric="size").found.metric) == "size (max)"
    assert compare("a", "b", metric="other", mode="max").found.target == 7
    assert "say what is better: --mode min, --mode max" in refused("a", "b", metric="other")
    assert "a reports no 'siez', only loss, seconds, size, other; did you mean 'size'?" in refused(
        "a", "b", metric="siez"
    )


def test_two_studies_of_one_seed_are_both_counted():
    for name in ("f", "g"):
        of_method(name, [0.1], choices=FIFO)
        of_method(f"a{name}", [0.2], choices=ASHA)
    ranks = words.at_end(compare("f", "g", "af", "ag").found).ranks
    assert ranks is not None
    assert ranks.n_tasks == 2


def test_a_study_without_a_config_is_a_method_by_itself():
    for name in ("a", "b"):
        study = Written(name=name)
        study.trial(0, [0.5], {})
        study.save(name)
    assert sorted(compare("a", "b").table.index) == ["a", "b"]


# -- what can't be compared --------------------------------------------------------------------------------------------


def test_one_study_is_no_comparison():
    of_method("a", [0.1])
    assert refused("a") == "to compare takes two studies or more, and there is one"
    assert refused() == "to compare takes two studies or more, and there are none"


def test_copies_and_links_of_a_study_are_refused():
    of_method("a", [0.1])
    shutil.copytree("a", "copy")
    Path("link").symlink_to("a")
    for other in ("copy", "link", "a"):
        assert refused("a", other) == f"a and {other} are the same study, copied or linked; name one"


def test_other_metrics_directions_constraints_and_units_are_refused():
    of_method("a", [0.1])
    of_method("up", [0.1], mode="max")
    assert "is to be min in a, max in up: these studies look for opposites" in refused("a", "up")
    for name, change in (
        ("metric", {"metrics": [{"name": "seconds", "mode": "min"}]}),
        ("bounds", {"constraints": [{"name": "loss", "max": 3.0}]}),
        ("unit", {"unit": "step"}),
    ):
        study = Written(name=name)
        study.records[0] |= change
        study.view.apply(study.records[0])
        study.trial(0, [0.5], {})
        study.save(name)
    assert "a loss, metric seconds; by one that all of them report: --metric NAME" in refused("a", "metric")
    assert compare("a", "metric", metric="loss").found.metric.name == "loss"
    assert "other constraints, and can't be compared: none in a; loss <= 3 in bounds" in refused("a", "bounds")
    assert "epochs in a, steps in unit" in refused("a", "unit")


def test_another_objective_is_refused_unless_it_is_what_is_compared():
    for name, precision in (("a", "float32"), ("b", "bfloat16")):
        of_method(name, [0.1], choices={"objective": "training"}, settings=f"objective: {{precision: {precision}}}\n")
    said = refused("a", "b")
    assert re.match(r"objective\.precision differs: float32 in a, bfloat16 in b: ", said)
    assert said.endswith("--by objective.precision")
    named = compare("a", "b", by="objective.precision").table.index
    assert sorted(named) == ["precision=bfloat16", "precision=float32"]


def test_other_spaces_and_budgets_are_told_in_a_line_each():
    of_method("a", [0.1], choices=FIFO, settings="n_trials: 3\nsearch_space: {x: {type: float, low: 0, high: 1}}\n")
    of_method("b", [0.1], choices=ASHA, settings="n_trials: 9\nsearch_space: {x: {type: float, low: 0, high: 2}}\n")
    first, second = compare("a", "b").found.notes
    assert first.startswith("They search different spaces")
    assert second == "They have different budgets (n_trials): look at the curves, rather than at the ends."


def test_a_training_is_no_study_and_a_target_is_a_number():
    study = Written(name="t")
    study.records[0]["kind"] = "training"
    study.save("t")
    of_method("a", [0.1])
    of_method("b", [0.1])
    assert refused("a", "t") == "t: is a single training, and no study"
    assert refused("a", "b", target=math.nan) == "--target nan: must be a finite value of the metric"
    assert refused("a", "b", mode="best") == "--mode best: must be min or max"
