"""Networks of any architecture, trained in a pack, have the numbers that they have alone."""

import math

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from hpo_pipeline.dataset.task import Task  # noqa: E402
from hpo_pipeline.objective.epoch import evaluate, whole  # noqa: E402
from hpo_pipeline.objective.loss import build_loss  # noqa: E402
from hpo_pipeline.objective.packed import epoch as packed_epoch  # noqa: E402
from hpo_pipeline.objective.packed.key import module_key  # noqa: E402
from hpo_pipeline.objective.scoring import Scores  # noqa: E402

TASK = Task("classification", 3)


class Residual(nn.Module):
    """Convolutions with batch normalization, a sum, dropout of units and channels, and a part that isn't trained."""

    def __init__(self, dropout=0.0, activation=functional.relu):
        super().__init__()
        self.activation = activation
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.channels = nn.Dropout2d(dropout)
        self.frozen = nn.Linear(4, 5).requires_grad_(False)
        self.units = nn.Dropout(dropout / 2)
        self.last = nn.Linear(5, 3)

    def forward(self, x):
        x = self.norm(self.activation(self.first(x)))
        x = self.channels(x + self.second(x)).mean((2, 3))
        return self.last(self.units(self.activation(self.frozen(self.units(x)))))


@pytest.fixture
def examples():
    """50 images of 6 x 6 pixels in three classes, and 20 for validation."""
    torch.set_default_dtype(torch.float64)
    random = torch.Generator().manual_seed(1)
    x, y = torch.randn(70, 1, 6, 6, generator=random), torch.randint(3, (70,), generator=random)
    yield x[:50], y[:50], x[50:], y[50:]
    torch.set_default_dtype(torch.float32)


def trained(models, optimizer, examples, *, together, orders=None):
    """Losses and errors of three epochs with batches of 16, and the weights and buffers after them."""
    x, y, x_validation, y_validation = examples
    optimizers = [optimizer(model.parameters()) for model in models]
    seen = []
    for epoch in range(3):
        order = torch.randperm(50, generator=torch.Generator().manual_seed(epoch))
        order_of = [order] * len(models) if orders is None else orders
        own = [100 * epoch + k for k in range(len(models))]
        for model in models:
            model.train()
        members = [
            packed_epoch.Member(*parts, 16, seed, None, build_loss(None, TASK))
            for *parts, seed in zip(models, optimizers, order_of, own, strict=True)
        ]
        if together:
            losses, stack = packed_epoch.train_pack(members, x, y)
            scores = packed_epoch.evaluate_pack(stack, x_validation, y_validation, TASK)
        else:
            losses = [packed_epoch.train_alone(member, x, y) for member in members]
            scored = [Scores(TASK, build_loss(None, TASK)) for _ in models]
            scores = [
                evaluate(model.eval(), whole(x_validation, y_validation), own)
                for model, own in zip(models, scored, strict=True)
            ]
        seen += [losses, *map(list, zip(*(score.values() for score in scores), strict=True))]
    tensors = [tensor.double().clone() for model in models for tensor in model.state_dict().values()]
    return seen, tensors


def models(count, **keys):
    made = []
    for seed in range(count):
        torch.manual_seed(seed)
        made.append(Residual(**{key: values[seed] for key, values in keys.items()}))
    return made


OPTIMIZERS = {
    "SGD": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
    "Adam": lambda weights: torch.optim.Adam(weights, lr=0.01, fused=True),
    "AdamW": lambda weights: torch.optim.AdamW(weights, lr=0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("launch_bound", [False, True])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_three_epochs_in_a_pack_are_three_epochs_alone(examples, name, launch_bound, monkeypatch):
    monkeypatch.setattr(packed_epoch, "launch_bound", lambda device: launch_bound)
    alone, states = trained(models(3), OPTIMIZERS[name], examples, together=False)
    together, others = trained(models(3), OPTIMIZERS[name], examples, together=True)
    assert together == [pytest.approx(values, rel=1e-9) for values in alone]
    assert all(torch.allclose(a, b, rtol=1e-9) for a, b in zip(states, others, strict=True))


class Sum(nn.Linear):
    """Two weights of which the gradient is the same tensor."""

    def __init__(self):
        super().__init__(36, 3)
        self.scale, self.more = nn.Parameter(torch.ones(36)), nn.Parameter(torch.ones(36))

    def forward(self, x):
        return super().forward(x.flatten(1) * (self.scale + self.more))


@pytest.mark.parametrize("launch_bound", [False, True])
def test_weights_that_are_added_up_take_their_steps_apart(examples, launch_bound, monkeypatch):
    monkeypatch.setattr(packed_epoch, "launch_bound", lambda device: launch_bound)

    def decayed(weights):
        return torch.optim.SGD(weights, lr=0.1, weight_decay=0.1)

    def pack():
        torch.manual_seed(0)
        return [Sum(), Sum()]

    alone, states = trained(pack(), decayed, examples, together=False)
    together, others = trained(pack(), decayed, examples, together=True)
    assert together == [pytest.approx(values, rel=1e-9) for values in alone]
    assert all(torch.allclose(a, b, rtol=1e-9) for a, b in zip(states, others, strict=True))


@pytest.mark.parametrize("launch_bound", [False, True])
def test_each_trial_drops_what_it_drops_alone(examples, launch_bound, monkeypatch):
    monkeypatch.setattr(packed_epoch, "launch_bound", lambda device: launch_bound)
    rates = [0.0, 0.3, 0.6]
    alone, _ = trained(models(3, dropout=rates), OPTIMIZERS["SGD"], examples, together=False)
    together, _ = trained(models(3, dropout=rates), OPTIMIZERS["SGD"], examples, together=True)
    assert together == [pytest.approx(values, rel=1e-9) for values in alone]
    without, _ = trained(models(3), OPTIMIZERS["SGD"], examples, together=True)
    assert without[0][0] == together[0][0]
    assert without[0][1:] != together[0][1:]


def test_trials_at_different_epochs_see_their_own_data_order(examples):
    orders = [torch.arange(50), torch.arange(50).flip(0)]
    alone, _ = trained(models(2), OPTIMIZERS["Adam"], examples, together=False, orders=orders)
    together, _ = trained(models(2), OPTIMIZERS["Adam"], examples, together=True, orders=orders)
    assert together == [pytest.approx(values, rel=1e-9) for values in alone]


@pytest.mark.parametrize("launch_bound", [False, True])
def test_each_trial_drops_its_own_share(examples, launch_bound, monkeypatch):
    monkeypatch.setattr(packed_epoch, "launch_bound", lambda device: launch_bound)
    pack = [nn.Sequential(nn.Dropout(p), nn.Flatten(), nn.Linear(36, 3)) for p in (0.0, 0.5, 0.75)]
    members = [
        packed_epoch.Member(
            model, OPTIMIZERS["SGD"](model.parameters()), torch.arange(50), 50, seed, None, build_loss(None, TASK)
        )
        for seed, model in enumerate(pack)
    ]
    stack, batches = packed_epoch._stacked(members, torch.ones(50, 1, 6, 6), examples[1])
    (batch,) = batches
    (masks,) = stack._dropout(batch.inputs[0], batch.starts)
    for mask, p in zip(masks, (0.0, 0.5, 0.75), strict=True):
        assert set(mask.unique().tolist()) == ({1.0} if p == 0 else {0.0, 1 / (1 - p)})
        assert float((mask == 0).double().mean()) == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / mask.numel()))


@pytest.mark.parametrize("wild", [1.0, 1e308])
def test_a_diverged_trial_touches_no_bit_of_its_neighbours(examples, wild):
    def with_neighbour(scale):
        pack = models(3, dropout=[0.1, 0.2, 0.3])
        with torch.no_grad():
            pack[1].last.weight.mul_(scale)
        seen, tensors = trained(pack, OPTIMIZERS["Adam"], examples, together=True)
        return [[values[0], values[2]] for values in seen], [
            tensors[: len(tensors) // 3],
            tensors[-len(tensors) // 3 :],
        ]

    calm, bits = with_neighbour(0.5)
    same, others = with_neighbour(wild)
    assert same == calm
    assert all(torch.equal(a, b) for pair in zip(bits, others, strict=True) for a, b in zip(*pair, strict=True))


def test_equal_layers_fit_in_one_pack_whatever_their_weights_and_rates_of_dropout():
    assert module_key(Residual(dropout=0.5)) == module_key(Residual()) is not None
    assert hash(module_key(Residual()))


class Keeps(nn.Linear):
    def __init__(self, kept):
        super().__init__(2, 2)
        self.kept = kept


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 5)),
        (nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3, padding=1)),
        (nn.Linear(2, 2), nn.Linear(2, 2, bias=False)),
        (nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False)),
        (nn.BatchNorm2d(4), nn.BatchNorm2d(4, momentum=0.2)),
        (nn.Sequential(nn.ReLU()), nn.Sequential(nn.Tanh())),
        (Residual(), Residual(activation=functional.gelu)),
        (Keeps(1), Keeps(1.0)),
        (Keeps(lambda x: x), Keeps(lambda x: -x)),
        (Keeps({"a": [1, 2]}), Keeps({"a": [1, 3]})),
    ],
)
def test_what_differs_does_not_fit_in_one_pack(one, other):
    assert module_key(one) != module_key(other)


def test_what_can_not_be_compared_fits_nothing():
    assert module_key(Keeps(torch.zeros(3))) is None
    assert module_key(Keeps(object())) is None


class Noisy(nn.Linear):
    def forward(self, x):
        return super().forward(x.flatten(1) + torch.randn_like(x.flatten(1)))


class Counting(nn.Linear):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x):
        self.steps = self.steps + 1
        return super().forward(x.flatten(1))


class Unused(nn.Linear):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.extra = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return super().forward(x.flatten(1))


class Remembering(nn.Linear):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x.flatten(1)) / self.calls


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Noisy, "draws random numbers itself"),
        (Counting, "replaced instead of changed"),
        (Unused, "not have been used"),
        (Remembering, "keeps besides"),
    ],
)
def test_what_can_not_be_done_for_several_at_once_is_refused_before_anything_is_changed(examples, kind, why):
    pack = [kind(36, 3), kind(36, 3)]
    before = [{name: tensor.clone() for name, tensor in model.state_dict().items()} for model in pack]
    with pytest.raises(RuntimeError, match=why):
        trained(pack, OPTIMIZERS["SGD"], examples, together=True)
    for model, tensors in zip(pack, before, strict=True):
        assert all(torch.equal(tensor, tensors[name]) for name, tensor in model.state_dict().items())
