"""Masks of dropout that are functions of a trial's seed: what enters them, how often, and what doesn't."""

import math

import pytest
from specs import trial_of

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from hpo_pipeline.dataset.task import Task  # noqa: E402
from hpo_pipeline.objective.loss import build_loss  # noqa: E402
from hpo_pipeline.objective.packed import dropout  # noqa: E402
from hpo_pipeline.objective.packed import epoch as packed_epoch  # noqa: E402
from hpo_pipeline.objective.training import Training  # noqa: E402

M = 1 << 64


def mixed(z):
    """SplitMix64's mixing in Stafford's variant 13, with Python's own integers."""
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % M
    z = (z ^ z >> 27) * 0x94D049BB133111EB % M
    return z ^ z >> 31


def test_the_mixing_is_that_of_splitmix64():
    # The first numbers of SplitMix64 from the seed 1234567, as in its published reference code.
    states = [(1234567 + i * 0x9E3779B97F4A7C15) % M for i in range(1, 6)]
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [mixed(z) for z in states] == expected


def test_a_mask_is_the_function_of_seed_step_example_and_unit_that_is_documented():
    salts, starts = [3, (1 << 62) + 5], [0, 96]
    like = torch.zeros((), dtype=torch.float64)
    function = dropout.MaskFunction([[salt] for salt in salts], [[0.3], [0.75]], [5], like)
    masks = function(torch.tensor(starts), 4, 2)
    assert torch.equal(function(torch.tensor(starts), 4, 2, units_first=True), masks.mT)
    for k, p in enumerate((0.3, 0.75)):
        for b in range(4):
            for u in range(5):
                z = salts[k] + starts[k] * 0xD1342543DE82EF95 + b * 0xDA942042E4DD58B5 + u * 0x9E3779B97F4A7C15
                # Signed, as torch's integers are: what stays is the lowest part from -2^63 on.
                stays = _signed(mixed(z % M)) < (1 - p) * M - (1 << 63)
                assert masks[k, b, u].item() == (pytest.approx(1 / (1 - p)) if stays else 0.0)


def _signed(number):
    return number - M if number >> 63 else number


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_every_unit_example_and_step_drops_its_share(p):
    n = 256
    function = dropout.MaskFunction([[11]], [[p]], [n], torch.zeros(()))
    kept, later = (function(torch.tensor([start]), n, 1)[0] > 0 for start in (0, n))
    deviation = math.sqrt(p * (1 - p) / n)
    for share in (kept.float().mean(0), kept.float().mean(1), later.float().mean(0)):
        assert (share - (1 - p)).abs().max() < 5 * deviation
    # Neighbouring units, examples, and steps are dropped independently of each other.
    pairs = (kept[:, 1:], kept[:, :-1]), (kept[1:], kept[:-1]), (kept, later)
    for one, other in pairs:
        together = (one & other).float().mean().item()
        assert together == pytest.approx((1 - p) ** 2, abs=5 * math.sqrt(0.25 / one.numel()))


def test_a_rate_of_one_drops_everything_and_a_rate_of_zero_nothing():
    masks = dropout.MaskFunction([[1], [2]], [[0.0], [1.0]], [50], torch.zeros(()))(torch.tensor([0]), 50, 2)
    assert (masks[0] == 1).all()
    assert (masks[1] == 0).all()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Dropout, (3, 4, 5)),
        (nn.Dropout1d, (3, 4, 5)),
        (nn.Dropout1d, (3, 4)),
        (nn.Dropout2d, (3, 4, 5, 6)),
        (nn.Dropout2d, (3, 4, 5)),
        (nn.Dropout3d, (3, 4, 5, 6, 7)),
        (nn.Dropout3d, (3, 4, 5, 6)),
    ],
)
@pytest.mark.filterwarnings("ignore:dropout2d")
def test_a_mask_has_the_shape_in_which_torch_drops(layer, shape):
    # What torch drops as one is equal along a dimension in each of many draws.
    wanted = dropout.mask_shape(layer(), torch.Size(shape))
    draws = [layer(0.5)(torch.ones(shape)) for _ in range(20)]
    for axis, size in enumerate(wanted):
        constant = all(torch.equal(draw, draw.narrow(axis, 0, 1).expand(shape)) for draw in draws)
        assert constant == (size == 1)


def config(n_units, p, batch_size):
    return {
        "seed": 0,
        "model": {
            "_target_": "hpo_pipeline.model.mlp.MLP",
            "n_units_1": n_units,
            "n_units_2": 8,
            "dropout_1": p,
            "dropout_2": 0.2,
        },
        "dataset": {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": batch_size},
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
    }


def cnn(p, lr):
    return {
        **config(8, 0.0, 100),
        "model": {"_target_": "hpo_pipeline.model.cnn.CNN", "channels": 2, "n_units": 8, "dropout": p},
        "optimizer": {"_target_": "torch.optim.SGD", "lr": lr},
    }


OWN = {"perceptron": (config(16, 0.5, 64), 7), "convolutions": (cnn(0.5, 0.1), 7)}
PARTNERS = {
    "perceptron": [
        [],
        [(config(16, 0.5, 64), 8)],
        [(config(40, 0.9, 8), 9), (config(3, 0.0, 100), 10)],
        [(config(5, 0.1, 32), seed) for seed in range(20, 25)],
    ],
    "convolutions": [[], [(cnn(0.0, 0.5), 8)], [(cnn(0.9, 0.01), seed) for seed in range(9, 13)]],
}


@pytest.mark.parametrize("launch_bound", [False, True])
@pytest.mark.parametrize("kind", OWN)
def test_a_trials_numbers_do_not_depend_on_its_partners_or_its_place_among_them(kind, launch_bound, monkeypatch):
    """In float32, where another mask for a single unit would show."""
    monkeypatch.setattr(packed_epoch, "launch_bound", lambda device: launch_bound)
    objective = Training(device="cpu", threads=1)
    curves = []
    for partners in PARTNERS[kind]:
        for place in {0, len(partners)}:
            trials = [*partners[:place], OWN[kind], *partners[place:]]
            states = [objective.start(trial_of(*trial)) for trial in trials]
            if len(states) == 1:
                curves.append([objective.advance(states[0]) for _ in range(2)])
            else:
                curves.append([objective.advance_pack(states)[place] for _ in range(2)])
    for curve in curves[1:]:
        assert curve == [pytest.approx(metrics, rel=1e-4) for metrics in curves[0]]
    other_seed = objective.start(trial_of(OWN[kind][0], 8))
    assert objective.advance(other_seed)["train_loss"] != pytest.approx(curves[0][0]["train_loss"], rel=1e-3)


def test_torchs_own_dropout_is_back_after_an_epoch_that_failed(monkeypatch):
    monkeypatch.setattr(packed_epoch, "launch_bound", lambda device: True)
    model, loss = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)), build_loss(None, Task("classification", 3))
    member = packed_epoch.Member(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.arange(4), 2, 0, None, loss)
    with pytest.raises(RuntimeError):
        packed_epoch.train_alone(member, torch.zeros(4, 5), torch.zeros(4, dtype=torch.int64))
    assert "forward" not in vars(model[1])
