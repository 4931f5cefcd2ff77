"""How much each hyperparameter matters, by two methods, with their uncertainty."""

from __future__ import annotations

from typing import Any

from hpo_pipeline.analysis.ped_anova import LEAST_TRIALS, PedAnova
from hpo_pipeline.analysis.permutation import LEAST_TRIALS as LEAST_FOR_FOREST
from hpo_pipeline.analysis.permutation import PermutationImportance
from hpo_pipeline.report.page.material import MOST_AXES, Material
from hpo_pipeline.report.page.section import Section, listed, percent, short
from hpo_pipeline.report.text import plural

MOST_NAMED = 6


def importance(material: Material) -> Section | None:
    """The importances of all hyperparameters; None where nothing is tuned, or was evaluated."""
    if not material.axes or not material.standing.trials:
        return None
    ped, forest, metric = material.ped_anova, material.permutation, material.view.metric
    if ped is None and forest is None:
        n = plural(len(material.standing.trials), "evaluated trial")
        says = f"How much each hyperparameter matters for {metric} can't be told from {n}."
        return Section(
            "importance", "Importance", says, f"It takes at least {LEAST_TRIALS} that differ in how good they are."
        )
    order = material.order[:MOST_AXES]
    data: dict[str, Any] = {"names": [material.names[axis.path] for axis in material.drawn_axes]}
    methods = []
    if ped is not None:
        columns = (ped.share, ped.low, ped.high, ped.chance)
        data["ped"] = [[short(float(column[i]), 4) for column in columns] for i in order]
        methods.append("by how much the best trials differ from all (PED-ANOVA)")
    if forest is not None:
        data["forest"] = [[short(float(forest.mean[i]), 4), short(float(forest.error[i]), 4)] for i in order]
        methods.append("by how much worse a forest predicts without it (permutation importance)")
    says = f"How much each hyperparameter matters for {metric}: {' and '.join(methods)}."
    sure = f"{_of_ped_anova(material, ped)} {_of_forest(forest)} Both only know the ranges that were searched."
    if material.is_changing:
        sure += " Hyperparameters changed on the way: a trial counts with those of its best report."
    return Section("importance", "Importance", says, sure, {"importance": 90 + 30 * len(order)}, data)


def _of_ped_anova(material: Material, ped: PedAnova | None) -> str:
    if ped is None:
        return "For PED-ANOVA there are too few trials, or too few that didn't fail."
    names = [material.names[axis.path] for axis in material.axes]
    real = [name for name, i in zip(names, material.order, strict=True) if ped.share[i] > ped.chance[i]]
    more = [f"{len(real) - MOST_NAMED} more"] if len(real) > MOST_NAMED else []
    told = listed([*real[:MOST_NAMED], *more]) or "nothing"
    return (
        f"A hyperparameter without influence passes the grey mark once in 20 times; among the {ped.n_best} best of "
        f"{plural(len(material.standing.trials), 'trial')} {told} {'do' if len(real) > 1 else 'does'}. Whiskers: 90 % "
        "bootstrap intervals."
    )


def _of_forest(forest: PermutationImportance | None) -> str:
    if forest is None:
        return f"A forest takes at least {LEAST_FOR_FOREST} trials."
    if forest.explained < 0.1:
        return f"The forest predicts next to nothing of a new trial's place (R² = {forest.explained:.2f}): leave it be."
    return (
        f"The forest explains {percent(forest.explained)} of the variance of unseen trials' places; its whiskers are "
        "± 2 standard errors."
    )
