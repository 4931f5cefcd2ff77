"""Trials in a pack have the numbers that they have alone."""

import copy
import dataclasses
import math

import pytest
from specs import trial_of

torch = pytest.importorskip("torch")

from hpo_pipeline.objective.packed import epoch as packed_epoch  # noqa: E402
from hpo_pipeline.objective.packed.key import pack_key  # noqa: E402
from hpo_pipeline.objective.packed.perceptron import PerceptronStack  # noqa: E402
from hpo_pipeline.objective.training import Training  # noqa: E402

DIGITS = {"_target_": "hpo_pipeline.dataset.digits.Digits"}
SOFTMAX = {"_target_": "hpo_pipeline.model.softmax.Softmax"}


def mlp(n_units_1=16, n_units_2=8, **keys):
    return {"_target_": "hpo_pipeline.model.mlp.MLP", "n_units_1": n_units_1, "n_units_2": n_units_2, **keys}


def deep(**keys):
    return {"_target_": "hpo_pipeline.model.deep_mlp.DeepMLP", "n_layers": 3, **keys}


def optimizer(name, **keys):
    return {"_target_": f"torch.optim.{name}", **keys}


def config(model, optimizer, batch_size=32, **keys):
    return {"seed": 0, "model": model, "dataset": {**DIGITS, "batch_size": batch_size}, "optimizer": optimizer, **keys}


def schedule(name, **keys):
    return {"_target_": f"torch.optim.lr_scheduler.{name}", **keys}


SCHEDULES = [None, schedule("StepLR", step_size=1, gamma=0.1), schedule("CosineAnnealingLR", T_max=3)]


PACKS = {
    "softmax, learning rates": [config(SOFTMAX, optimizer("SGD", lr=0.5 / 3**i)) for i in range(4)],
    "softmax, momentum, nesterov and decay": [
        config(SOFTMAX, optimizer("SGD", lr=0.01, momentum=m, nesterov=n, weight_decay=d))
        for m, n, d in ((0.0, False, 0.0), (0.9, False, 1e-3), (0.9, True, 0.0), (0.5, True, 1e-2))
    ],
    "softmax, batch sizes": [config(SOFTMAX, optimizer("SGD", lr=0.1), b) for b in (100, 8, 64, 17)],
    "mlp, Adam with its own betas, epsilon and decay": [
        config(
            mlp(), optimizer("Adam", lr=1e-3 * (i + 1), betas=[0.9 - 0.1 * i, 0.99], eps=10 ** -(8 - i), weight_decay=d)
        )
        for i, d in enumerate((0.0, 1e-3, 1e-2))
    ],
    "mlp, widths": [config(mlp(4 + 9 * i, 20 - 3 * i), optimizer("Adam", lr=1e-3)) for i in range(4)],
    "mlp, the last one narrower": [config(mlp(n_units_1=n), optimizer("SGD", lr=0.1)) for n in (16, 16, 8)],
    "mlp, widths whose padding is not zero after the activation": [
        config(mlp(4 + 9 * i, 20 - 3 * i, activation="sigmoid"), optimizer("AdamW", lr=1e-2)) for i in range(4)
    ],
    "mlp, widths, batch sizes and dropout": [
        config(mlp(8 + i, 9 - i, dropout_1=0.2 * i, dropout_2=0.3), optimizer("AdamW", lr=1e-3, weight_decay=0.1), b)
        for i, b in enumerate((33, 8, 100))
    ],
    "large networks": [
        config(mlp(500, 300), optimizer("Adam", lr=1e-3 / (i + 1)), b) for i, b in enumerate((128, 100))
    ],
    "schedules of the learning rate": [
        config(mlp(), optimizer("Adam", lr=0.01), b, lr_schedule=s)
        for b, s in zip((64, 32, 100), SCHEDULES, strict=True)
    ],
    "large networks with schedules": [
        config(mlp(500, 300), optimizer("SGD", lr=0.1), 100, lr_schedule=s) for s in SCHEDULES
    ],
    "convolutions with dropout and schedules": [
        config(
            {"_target_": "hpo_pipeline.model.cnn.CNN", "channels": 2, "n_units": 8, "dropout": 0.1 * i},
            optimizer("Adam", lr=0.01),
            100,
            lr_schedule=s,
        )
        for i, s in enumerate(SCHEDULES)
    ],
    "three hidden layers": [
        config(deep(n_units_2=20 + i, dropout=0.1 * i), optimizer("SGD", lr=0.1)) for i in range(3)
    ],
}


@pytest.fixture
def training(monkeypatch):
    """The training objective in float64 on the CPU, where rounding can't hide a mistake."""
    torch.set_default_dtype(torch.float64)
    objective = Training(device="cpu", threads=1)
    loaded = objective._data
    splits = {}

    def doubled(node):
        data = loaded(node)
        x, v = data.x_train.double(), data.x_validation.double()
        y, w = (part if part.dtype == torch.int64 else part.double() for part in (data.y_train, data.y_validation))
        changed = dataclasses.replace(data, x_train=x, y_train=y, x_validation=v, y_validation=w)
        return splits.setdefault(id(data), changed)

    monkeypatch.setattr(objective, "_data", doubled)
    yield objective
    torch.set_default_dtype(torch.float32)


def started(training, configs):
    return [training.start(trial_of(config, seed)) for seed, config in enumerate(configs, start=7)]


@pytest.mark.parametrize("name", PACKS)
def test_three_epochs_in_a_pack_are_three_epochs_alone(training, name):
    alone, together = started(training, PACKS[name]), started(training, PACKS[name])
    assert len({training.pack_key(state) for state in together}) == 1
    for _ in range(3):
        expected = [training.advance(state) for state in alone]
        for one, other in zip(expected, training.advance_pack(together), strict=True):
            assert other == pytest.approx(one, rel=1e-9)


MODELS = {
    "softmax": SOFTMAX,
    "mlp": mlp(),
    "deep_mlp": deep(),
    "cnn": {"_target_": "hpo_pipeline.model.cnn.CNN", "channels": 2, "n_units": 8},
}


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_trained_in_a_pack_by_every_optimizer(training, model, name):
    configs = [config(MODELS[model], optimizer(name, lr=0.03 / 4**i)) for i in range(3)]
    alone, together = started(training, configs), started(training, configs)
    for _ in range(3):
        expected = [training.advance(state) for state in alone]
        assert training.advance_pack(together) == [pytest.approx(one, rel=1e-9) for one in expected]


@pytest.mark.parametrize("name", PACKS)
def test_three_epochs_in_a_launch_bound_pack_are_three_epochs_alone(training, name, monkeypatch):
    monkeypatch.setattr(packed_epoch, "launch_bound", lambda device: True)
    test_three_epochs_in_a_pack_are_three_epochs_alone(training, name)


def test_a_trial_goes_on_alone_after_a_pack_and_in_a_pack_after_alone(training, tmp_path):
    name = "mlp, Adam with its own betas, epsilon and decay"
    alone, mixed = started(training, PACKS[name]), started(training, PACKS[name])
    training.advance_pack(mixed)
    training.save(mixed[1], tmp_path / "1.ckpt")
    mixed[1] = training.load(trial_of(PACKS[name][1], 8), tmp_path / "1.ckpt")
    training.advance(mixed[1])
    last = training.advance_pack([mixed[0], mixed[2]])
    for _ in range(2):
        expected = [training.advance(state) for state in alone]
    assert last[0] == pytest.approx(expected[0], rel=1e-9)
    assert last[1] == pytest.approx(expected[2], rel=1e-9)
    final = training.advance_pack(mixed[:2])[1]
    assert final == pytest.approx(training.advance(alone[1]), rel=1e-9)


def test_trials_at_different_epochs_see_their_own_data_order(training):
    configs = [config(SOFTMAX, optimizer("SGD", lr=0.1)) for _ in range(2)]
    alone, together = started(training, configs), started(training, configs)
    for states in (alone, together):
        training.advance(states[0])
    expected = [training.advance(state) for state in alone]
    assert training.advance_pack(together) == [pytest.approx(one, rel=1e-9) for one in expected]


def test_gradients_are_clipped_for_each_trial(training):
    configs = [
        {**config(mlp(8 + i, 8), optimizer("SGD", lr=1.0)), "objective": {"grad_clip": clip}}
        for i, clip in enumerate((0.01, None, 10.0))
    ]
    alone, together = started(training, configs), started(training, configs)
    expected = [training.advance(state) for state in alone]
    assert training.advance_pack(together) == [pytest.approx(one, rel=1e-9) for one in expected]


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize("launch_bound", [False, True])
def test_schedules_clipping_dropout_and_breaks_in_one_pack(launch_bound, final, monkeypatch, tmp_path):
    monkeypatch.setattr(packed_epoch, "launch_bound", lambda device: launch_bound)
    objective = Training(device="cpu", threads=1, final=final)
    configs = [
        {
            **config(mlp(dropout_1=0.3), optimizer("SGD", lr=0.1, momentum=0.9), 100, lr_schedule=s),
            "objective": {"grad_clip": c},
        }
        for s, c in zip(SCHEDULES, (None, 0.5, 2.0), strict=True)
    ]
    alone, together = started(objective, configs), started(objective, configs)
    for epoch in range(4):
        expected = [objective.advance(state) for state in alone]
        first = [objective.advance(together[0])] if epoch == 2 else []  # one alone for a while
        found = [*first, *objective.advance_pack(together[len(first) :])]
        assert found == [pytest.approx(metrics, rel=2e-3) for metrics in expected]
        for i, state in enumerate(together):
            objective.save(state, tmp_path / f"{i}.ckpt")
            together[i] = objective.load(trial_of(configs[i], 7 + i), tmp_path / f"{i}.ckpt")


@pytest.mark.parametrize("launch_bound", [False, True])
@pytest.mark.parametrize("sizes", [(32, 32, 32), (8, 32, 64)])
def test_a_diverged_trial_touches_no_bit_of_its_neighbours(sizes, launch_bound, monkeypatch):
    monkeypatch.setattr(packed_epoch, "launch_bound", lambda device: launch_bound)

    def neighbours(lr):
        objective = Training(device="cpu", threads=1)
        configs = [config(mlp(), optimizer("SGD", lr=r), b) for r, b in zip((0.1, lr, 0.05), sizes, strict=True)]
        states = started(objective, configs)
        metrics = [objective.advance_pack(states) for _ in range(2)][-1]
        return metrics, [p.clone() for i in (0, 2) for p in states[i].model.parameters()]

    sane, weights = neighbours(0.1)
    wild, others = neighbours(1e38)
    assert not math.isfinite(wild[1]["validation_loss"])
    assert math.isnan(wild[1]["validation_error"])
    assert [wild[0], wild[2]] == [sane[0], sane[2]]
    assert all(torch.equal(a, b) for a, b in zip(weights, others, strict=True))


def test_padded_units_stay_zero(training):
    configs = [config(mlp(4, 12), optimizer("AdamW", lr=0.1)), config(mlp(16, 3), optimizer("AdamW", lr=0.1), 64)]
    states = started(training, configs)
    data = states[0].data
    _, stack = packed_epoch.train_pack(training._members(states), data.x_train, data.y_train)
    _, second, last, first_bias, second_bias, _ = stack.tensors
    assert first_bias[0, 4:].abs().max() == second_bias[1, 3:].abs().max() == 0
    assert second[0, :, 4:].abs().max() == second[1, 3:].abs().max() == 0
    assert last[1, :, 3:].abs().max() == 0
    assert second[0, :, :4].abs().max() > 0


@pytest.mark.parametrize("launch_bound", [False, True])
def test_each_trial_drops_its_own_share_of_its_units(launch_bound, monkeypatch):
    monkeypatch.setattr(packed_epoch, "launch_bound", lambda device: launch_bound)
    drawn = []
    rest = PerceptronStack._rest

    def seen(stack, z, later, dropout=None):
        drawn.extend([] if dropout is None else [dropout[0].clone()])
        return rest(stack, z, later, dropout)

    monkeypatch.setattr(PerceptronStack, "_rest", seen)
    objective = Training(device="cpu", threads=1)
    shares = (0.0, 0.5, 0.75)  # 1 / (1 - p) is exact
    objective.advance_pack(started(objective, [config(mlp(dropout_1=p), optimizer("SGD", lr=0.1)) for p in shares]))
    masks = torch.cat([mask.flatten(2) for mask in drawn], dim=2)  # 16 units of 1,078 images or more each
    for mask, p in zip(masks, shares, strict=True):
        assert set(mask.unique().tolist()) == ({1.0} if p == 0 else {0.0, 1 / (1 - p)})
        assert float((mask == 0).float().mean()) == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / mask.numel()))


@pytest.mark.parametrize(
    "odd",
    [
        config(deep(), optimizer("SGD", lr=0.1)),  # another depth
        config(SOFTMAX, optimizer("Adam", lr=0.1)),  # another optimizer
        config(mlp(activation="tanh"), optimizer("SGD", lr=0.1)),  # another activation
    ],
)
def test_what_can_not_be_in_one_pack_has_another_key(training, odd):
    usual = [config(SOFTMAX, optimizer("SGD", lr=0.1)), config(mlp(), optimizer("SGD", lr=0.1))]
    keys = {training.pack_key(state) for state in started(training, [*usual, odd])}
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("SGD", {"momentum": 0.9, "dampening": 0.5}),
        ("Adam", {"amsgrad": True}),
        ("Adam", {"eps": 0.0}),
        ("SGD", {"maximize": True}),
        ("RMSprop", {}),
    ],
)
def test_an_optimizer_that_is_not_known_in_packs_is_trained_alone(kind, keys):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    assert pack_key(model, getattr(torch.optim, kind)(model.parameters(), lr=0.1, **keys), 32) is None


def test_measuring_the_gain_changes_no_trial(training):
    states = started(training, PACKS["softmax, batch sizes"])
    before = copy.deepcopy([state.model.state_dict() for state in states])
    assert training.pack_gain(states) > 0
    for state, weights in zip(states, before, strict=True):
        assert all(torch.equal(value, weights[name]) for name, value in state.model.state_dict().items())
        assert not state.optimizer.state
