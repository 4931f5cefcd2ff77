"""What is added to a model or an optimizer acts on a trial in a pack as it does alone, or keeps it out of packs."""

import random

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.modules.module import register_module_forward_hook  # noqa: E402
from torch.nn.utils import parametrizations, parametrize  # noqa: E402
from torch.optim.optimizer import register_optimizer_step_pre_hook  # noqa: E402

from hpo_pipeline.dataset.task import Task  # noqa: E402
from hpo_pipeline.objective.epoch import evaluate, whole  # noqa: E402
from hpo_pipeline.objective.loss import build_loss  # noqa: E402
from hpo_pipeline.objective.packed import epoch as packed_epoch  # noqa: E402
from hpo_pipeline.objective.packed.key import pack_key  # noqa: E402
from hpo_pipeline.objective.scoring import Scores  # noqa: E402

TASK = Task("classification", 3)

PACKED, ALONE = "packed", "alone"


class Net(nn.Sequential):
    """A perceptron by class, with a method that Sequential doesn't have."""

    def __init__(self, *layers):
        super().__init__(*(layers or (nn.Flatten(), nn.Linear(4, 6), nn.ReLU(), nn.Dropout(0.3), nn.Linear(6, 3))))

    def widths(self):
        return [6]


class Tempered(Net):
    def forward(self, x):
        return super().forward(x) / 3


class Frozen(Net):
    """Dropout that isn't active in training."""

    def train(self, mode=True):
        super().train(mode)
        self[3].eval()
        return self


class LeakyRelu(nn.ReLU):
    def forward(self, x):
        return torch.where(x > 0, x, x / 4)


class Flatten(nn.Flatten):
    """Called as torch's, and doing something else."""

    def forward(self, x):
        return super().forward(x).flip(1)


class HalfStep(torch.optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                weight.grad.mul_(0.5)
        return super().step(closure)


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


class InPlace(nn.Module):
    """Relies on dropout changing its input."""

    def __init__(self):
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(4, 6), nn.Dropout(0.5, inplace=True), nn.Linear(6, 3)

    def forward(self, x):
        x = self.first(x)
        self.drop(x)
        return self.last(x)


class ActivationInPlace(nn.Module):
    """Keeps nothing of what comes before the activation, as layers that follow a convolution often do."""

    def __init__(self):
        super().__init__()
        self.first, self.relu, self.last = nn.Linear(4, 6), nn.ReLU(inplace=True), nn.Linear(6, 3)

    def forward(self, x):
        x = self.first(x)
        self.relu(x)
        return self.last(x)


class InputInPlace(nn.Module):
    """Changes the batch that it is given, in training."""

    def __init__(self):
        super().__init__()
        self.drop, self.last = nn.Dropout(0.3), nn.Linear(4, 3)

    def forward(self, x):
        if self.training:
            x.mul_(2).add_(1)
        return self.last(self.drop(x))


class WholeExamples(nn.Module):
    """`Dropout1d` of what looks like an example without a batch: each row is a channel."""

    def __init__(self):
        super().__init__()
        self.drop, self.last = nn.Dropout1d(0.5), nn.Linear(4, 3)

    def forward(self, x):
        return self.last(self.drop(x))


class Twice(nn.Module):
    """One dropout layer under two names."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 3)
        self.drop = self.again = nn.Dropout(0.4)

    def forward(self, x):
        return self.again(self.last(self.drop(self.first(x))))


class Depth(nn.Module):
    """Stochastic depth by Python's own generator."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.last(self.first(x) if random.random() < 0.5 else x)


class Unlayered(nn.Module):
    """Goes by `torch.func`."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)))


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def changed(change, base=Net):
    """(model, its optimizer) after `change(model, optimizer)`; what that returns, if anything, is the optimizer."""

    def make():
        model = base()
        made = sgd(model)
        return model, change(model, made) or made

    return make


def layers(*wanted):
    return lambda: (model := Net(*(layer() for layer in wanted)), sgd(model))


def tied():
    first = nn.Linear(4, 4)
    model = Net(nn.Flatten(), first, nn.Tanh(), first, nn.Tanh(), nn.Linear(4, 3))
    return model, sgd(model)


def tied_weights(model, optimizer):
    model.last.weight.data = model.first.weight.data[:3]


def tied_unlayered():
    model = Unlayered()
    model.last = nn.Linear(4, 4)
    model.last.weight = model.first.weight
    return model, sgd(model)


def freeze(model, optimizer):
    model[1].weight.requires_grad_(False)


def patch(model, optimizer):
    forward = model.forward
    model.forward = lambda x: 2 * forward(x)


def mask_gradient(model, optimizer):
    model[1].weight.register_hook(lambda gradient: gradient * 0.5)


def after_gradient(model, optimizer):
    model[1].weight.register_post_accumulate_grad_hook(lambda weight: weight.grad.mul_(0.5))


def scheduled(model, optimizer):
    torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)


CASES = {
    "as it is": (changed(lambda model, optimizer: None), PACKED),
    "a module as it is": (changed(lambda model, optimizer: None, Unlayered), PACKED),
    "another forward of the whole": (lambda: (model := Tempered(), sgd(model)), PACKED),
    "another train of the whole": (lambda: (model := Frozen(), sgd(model)), PACKED),
    "another activation by a subclass": (
        layers(nn.Flatten, lambda: nn.Linear(4, 6), LeakyRelu, lambda: nn.Linear(6, 3)),
        PACKED,
    ),
    "another Flatten of the same name": (layers(Flatten, lambda: nn.Linear(4, 3)), PACKED),
    "dropout of everything": (
        layers(nn.Flatten, lambda: nn.Linear(4, 6), nn.Tanh, lambda: nn.Dropout(1.0), lambda: nn.Linear(6, 3)),
        PACKED,
    ),
    "dropout in place": (lambda: (model := InPlace(), sgd(model)), PACKED),
    "an activation in place": (
        layers(nn.Flatten, lambda: nn.Linear(4, 6), lambda: nn.ReLU(inplace=True), lambda: nn.Linear(6, 3)),
        PACKED,
    ),
    "activations in place before dropout": (
        layers(
            nn.Flatten,
            lambda: nn.Linear(4, 6),
            lambda: nn.ELU(inplace=True),
            lambda: nn.Dropout(0.3),
            lambda: nn.Linear(6, 5),
            lambda: nn.ELU(inplace=True),
            lambda: nn.Linear(5, 3),
        ),
        PACKED,
    ),
    "an activation in place in a module": (changed(lambda m, o: None, ActivationInPlace), PACKED),
    "an input changed in place": (changed(lambda m, o: None, InputInPlace), PACKED),
    "channels without a batch": (lambda: (model := WholeExamples(), sgd(model)), PACKED),
    "one dropout layer under two names": (lambda: (model := Twice(), sgd(model)), PACKED),
    "one layer twice": (tied, ALONE),
    "one weight in two layers": (tied_unlayered, PACKED),
    "weights that aren't trained": (changed(freeze), PACKED),
    "weights that are a part of others": (changed(tied_weights, Unlayered), ALONE),
    "random numbers of Python": (lambda: (model := Depth(), sgd(model)), ALONE),
    "a forward hook": (
        changed(lambda m, o: m[1].register_forward_hook(lambda module, x, y: 2 * y) and None),
        ALONE,
    ),
    "a forward pre-hook": (
        changed(lambda m, o: m.register_forward_pre_hook(lambda module, x: (2 * x[0],)) and None),
        ALONE,
    ),
    "a backward hook": (
        changed(lambda m, o: m[1].register_full_backward_hook(lambda module, i, o: tuple(g * 0.5 for g in i)) and None),
        ALONE,
    ),
    "a gradient's hook": (changed(mask_gradient), ALONE),
    "a hook after the gradient": (changed(after_gradient), ALONE),
    "a parametrization": (
        changed(lambda m, o: (parametrize.register_parametrization(m[1], "weight", Doubled()), sgd(m))[1]),
        ALONE,
    ),
    "weight normalization": (changed(lambda m, o: (parametrizations.weight_norm(m[1]), sgd(m))[1]), ALONE),
    "a patched forward": (changed(patch), ALONE),
    "an optimizer's hook": (
        changed(lambda m, o: o.register_step_pre_hook(lambda made, a, k: m[1].weight.grad.zero_() and None) and None),
        ALONE,
    ),
    "an optimizer with another step": (changed(lambda m, o: HalfStep(m.parameters(), lr=0.1)), ALONE),
    "an optimizer with a scheduler of torch": (changed(scheduled), ALONE),
    "an optimizer of some weights": (changed(lambda m, o: torch.optim.SGD(m[1].parameters(), lr=0.1)), ALONE),
}


@pytest.fixture
def examples():
    """30 examples of four numbers in three classes."""
    torch.set_default_dtype(torch.float64)
    generator = torch.Generator().manual_seed(1)
    yield torch.randn(30, 4, generator=generator), torch.randint(3, (30,), generator=generator)
    torch.set_default_dtype(torch.float32)


def pack(make):
    made = []
    for seed in range(2):
        torch.manual_seed(seed)
        model, optimizer = make()
        made.append(
            packed_epoch.Member(model.train(), optimizer, torch.arange(30), 8, seed, None, build_loss(None, TASK))
        )
    return made


@pytest.mark.parametrize("launch_bound", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_a_trial_in_a_pack_is_what_it_is_alone_or_is_not_in_a_pack(examples, case, launch_bound, monkeypatch):
    monkeypatch.setattr(packed_epoch, "launch_bound", lambda device: launch_bound)
    make, expected = CASES[case]
    x, y = examples
    together = pack(make)
    keys = {pack_key(member.model, member.optimizer, 8) for member in together}
    if expected == ALONE and (len(keys) == 2 or keys == {None}):
        return
    assert len(keys) == 1
    assert keys != {None}
    if expected == ALONE:
        with pytest.raises(RuntimeError, match="random"):
            packed_epoch.train_pack(together, x, y)
        return
    alone = pack(make)
    losses = [packed_epoch.train_alone(member, x, y) for member in alone]
    found, stack = packed_epoch.train_pack(together, x, y)
    assert found == pytest.approx(losses, rel=1e-12)
    for one, other in zip(alone, together, strict=True):
        for a, b in zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True):
            assert torch.allclose(a, b, rtol=1e-12, atol=1e-14)
    scores = [evaluate(member.model.eval(), whole(x, y), Scores(TASK, member.loss)) for member in alone]
    assert packed_epoch.evaluate_pack(stack, x, y, TASK) == [pytest.approx(score, rel=1e-12) for score in scores]


def test_a_pack_of_tied_and_untied_weights_is_none():
    (tied_one, optimizer), (untied, _) = tied_unlayered(), tied_unlayered()
    untied.last.weight = nn.Parameter(untied.first.weight.detach().clone())
    assert pack_key(tied_one, optimizer, 8) != pack_key(untied, sgd(untied), 8)


@pytest.mark.parametrize("register", [register_module_forward_hook, register_optimizer_step_pre_hook])
def test_hooks_on_everything_keep_trials_out_of_packs(register):
    model, optimizer = CASES["as it is"][0]()
    assert pack_key(model, optimizer, 8) is not None
    handle = register(lambda *_: None)
    try:
        assert pack_key(model, optimizer, 8) is None
    finally:
        handle.remove()
