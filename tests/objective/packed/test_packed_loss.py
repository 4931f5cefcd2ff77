"""Trials with other losses than plain cross-entropy have the numbers in a pack that they have alone."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from test_packed_epoch import config, deep, mlp, optimizer, started, training  # noqa: E402, F401

from hpo_pipeline.objective.packed import epoch as packed_epoch  # noqa: E402

DIABETES = {"_target_": "hpo_pipeline.dataset.diabetes.Diabetes"}
LABELS = {"_target_": "hpo_pipeline.dataset.multilabel.Multilabel", "n": 300, "n_labels": 4}


def loss(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"torch.nn.{name}", **arguments}


SGD = optimizer("SGD", lr=0.1)
RISING = [0.5 + 0.25 * i for i in range(10)]
PACKS = {
    "label smoothing": [config(mlp(), SGD, loss=loss("CrossEntropyLoss", label_smoothing=s)) for s in (0.0, 0.1, 1.0)],
    "weights of the classes, smoothing, batch sizes": [
        config(mlp(dropout_1=0.2), SGD, b, loss=loss("CrossEntropyLoss", weight=w, label_smoothing=s))
        for b, w, s in ((100, None, 0.1), (33, RISING, 0.0), (64, [*RISING[1:], 0.0], 0.2))
    ],
    "plain and chosen cross-entropy": [config(mlp(), SGD, loss=own) for own in (None, loss("CrossEntropyLoss"))],
    "convolutions with smoothing": [
        config(
            {"_target_": "hpo_pipeline.model.cnn.CNN", "channels": 2, "n_units": 8},
            SGD,
            100,
            loss=loss("CrossEntropyLoss", label_smoothing=s),
        )
        for s in (0.0, 0.3)
    ],
    "numbers": [
        {
            **config(mlp(8 + i, 9 - i), optimizer("Adam", lr=0.01 * (i + 1)), loss=own),
            "dataset": {**DIABETES, "batch_size": b},
        }
        for i, (b, own) in enumerate(((32, None), (32, loss("MSELoss")), (50, None)))
    ],
    "labels": [
        {**config(deep(dropout=0.1 * i), SGD, loss=own), "dataset": {**LABELS, "batch_size": 32 + 9 * i}}
        for i, own in enumerate(
            (
                None,
                loss("BCEWithLogitsLoss", pos_weight=[1, 2, 3, 0.5]),
                loss("BCEWithLogitsLoss", weight=[2, 1, 1, 0.5], pos_weight=[1, 2, 0, 1]),
            )
        )
    ],
}  # fmt: skip
METRICS = {
    "f1": {"_target_": "torchmetrics.classification.F1Score", "average": "macro"},
    "auroc": {"_target_": "torchmetrics.classification.AUROC"},
}
R2 = {"r2": {"_target_": "torchmetrics.regression.R2Score"}}


@pytest.mark.parametrize("launch_bound", [False, True])
@pytest.mark.parametrize("name", PACKS)
def test_two_epochs_in_a_pack_are_two_epochs_alone(training, name, launch_bound, monkeypatch):  # noqa: F811
    monkeypatch.setattr(packed_epoch, "launch_bound", lambda device: launch_bound)
    configs = [{**each, "metrics": R2 if name == "numbers" else METRICS} for each in PACKS[name]]
    alone, together = started(training, configs), started(training, configs)
    keys = {training.pack_key(state) for state in together}
    assert len(keys) == 1
    assert keys != {None}
    for _ in range(2):
        expected = [training.advance(state) for state in alone]
        assert training.advance_pack(together) == [pytest.approx(one, rel=1e-9, abs=1e-12) for one in expected]
    assert ("validation_error" in expected[0]) == (name != "numbers")
    assert training.pack_gain(together) > 0


@pytest.mark.parametrize(
    ("dataset", "chosen", "why"),
    [
        (DIABETES, loss("L1Loss"), "packs have cross_entropy, mse and bce_with_logits as a loss, not L1Loss"),
        (LABELS, loss("MultiLabelSoftMarginLoss"), "not MultiLabelSoftMarginLoss"),
        (None, loss("CrossEntropyLoss", ignore_index=3), "loss.ignore_index is set"),
    ],
)
def test_why_another_loss_goes_alone_is_told(training, dataset, chosen, why):  # noqa: F811
    each = config(mlp(), SGD, loss=chosen)
    each = each if dataset is None else {**each, "dataset": {**dataset, "batch_size": 32}}
    [state] = started(training, [each])
    assert training.pack_key(state) is None
    assert training.why_alone(state).endswith(why)
    assert training.advance(state)["validation_loss"] > 0


def test_why_another_optimizer_or_a_changed_model_goes_alone_is_told(training):  # noqa: F811
    [state] = started(training, [config(mlp(), optimizer("RMSprop", lr=0.01))])
    assert training.why_alone(state) == "packs have SGD, Adam and AdamW with their usual options, not this RMSprop"
    [state] = started(training, [config(mlp(), SGD)])
    assert training.why_alone(state) == ""
    state.model.register_forward_hook(lambda *_: None)
    assert training.why_alone(state).startswith("something is added to MLP or its optimizer")
