"""Perceptrons side by side, of one depth and any widths: narrower ones are padded with units that stay zero.

Everything has its units before its examples: that is how `nn.Linear` keeps its weights, how gradients come out, and
where products and softmax over few classes are fastest.

    K trials    B examples a batch    d inputs    h hidden units    C outputs
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hpo_pipeline.objective.packed import dropout
from hpo_pipeline.objective.packed.batches import Batch
from hpo_pipeline.objective.packed.loss import StackedLoss
from hpo_pipeline.objective.packed.stack import Stack

ACTIVATIONS = (nn.ELU, nn.GELU, nn.LeakyReLU, nn.ReLU, nn.Sigmoid, nn.SiLU, nn.Tanh)


@dataclass(frozen=True, slots=True)
class Perceptron:
    """An `nn.Sequential` of Flatten, then Linear, activation and perhaps Dropout again and again, then Linear.

    Attributes:
        linears: the layers that have weights.
        activation: the one of all hidden layers.
        dropouts: each hidden layer's probability.
        calls: each hidden layer's dropout: the name of the module, and the number of its earlier calls in a pass.
    """

    linears: list[nn.Linear]
    activation: nn.Module | None
    dropouts: list[float]
    calls: list[tuple[str, int]]

    @property
    def widths(self) -> list[int]:
        """Of the hidden layers."""
        return [linear.out_features for linear in self.linears[:-1]]

    @property
    def weights(self) -> list[Tensor]:
        """Of all layers, then all biases."""
        return [*(linear.weight for linear in self.linears), *(linear.bias for linear in self.linears)]


def perceptron(model: nn.Module) -> Perceptron | None:
    """`model` as a perceptron, or None if it is, or may be, anything else."""
    if not isinstance(model, nn.Sequential) or not _runs_as_sequential(type(model)):
        return None
    layers = list(model)
    kinds = "".join(map(_kind, layers))
    if not re.fullmatch("F(LAD?)*L", kinds):
        return None
    linears = [layer for layer in layers if type(layer) is nn.Linear]
    activations = [_not_in_place(layer) for layer in layers if type(layer) in ACTIVATIONS]
    net = Perceptron(linears, activations[0] if activations else None, [], [])
    names = {id(layer): name for name, layer in model.named_modules()}
    for place in (match.end() for match in re.finditer("A", kinds)):
        layer = layers[place]
        net.dropouts.append(layer.p if isinstance(layer, nn.Dropout) else 0.0)
        net.calls.append((names[id(layer)], sum(earlier is layer for earlier in layers[:place])))
    weights = net.weights
    if len({repr(activation) for activation in activations}) > 1 or not all(weight.requires_grad for weight in weights):
        return None
    # A layer that is there twice; kinds of weights that can't be in one tensor.
    if len({id(weight) for weight in weights}) < len(weights) or len({(w.dtype, w.device) for w in weights}) > 1:
        return None
    return net


def _kind(layer: nn.Module) -> str:
    """Flatten, Linear, Activation or Dropout, by its first letter; "-" for anything else."""
    if type(layer) is nn.Flatten:
        return "F" if (layer.start_dim, layer.end_dim) == (1, -1) else "-"
    if type(layer) is nn.Linear:
        return "L" if layer.bias is not None else "-"
    return "A" if type(layer) in ACTIVATIONS else "D" if type(layer) is nn.Dropout else "-"


def _not_in_place(activation: nn.Module) -> nn.Module:
    """The same, leaving its input as it is: a stack still needs that."""
    copied = copy.copy(activation)
    vars(copied).update(inplace=False)
    return copied


def _runs_as_sequential(kind: type[nn.Sequential]) -> bool:
    """Whether nothing that `nn.Sequential` has is overridden but `__init__`; methods may have been added."""
    added = kind.__mro__[: kind.__mro__.index(nn.Sequential)]
    names = {name for cls in added for name in vars(cls)} - {"__init__", *vars(type("Empty", (), {})), *_ABOUT}
    return not any(hasattr(nn.Sequential, name) for name in names)


_ABOUT = ("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__parameters__")
"""What Python itself may put into a class, besides what every class has."""


class PerceptronStack(Stack):
    """K perceptrons as one.

    The first layer is most of the work: each group of trials that see the same batches has one product there.

    Args:
        nets: the networks.
        loss: their losses, as one.
        groups: of the trials, by what they see.
        seeds: each trial's, of its dropout.
        launch_bound: calls cost more than padding.
    """

    evaluation_batch = 512

    def __init__(
        self,
        nets: Sequence[Perceptron],
        loss: StackedLoss,
        groups: Sequence[range],
        seeds: Sequence[int],
        *,
        launch_bound: bool,
    ) -> None:
        super().__init__([net.weights for net in nets], loss, pad_first=launch_bound)
        self._nets = nets
        self._launch_bound = launch_bound
        self._n_layers = len(nets[0].linears)
        self._height = self.tensors[self._n_layers].shape[1]  # of the first layer, as padded
        self._products = self._products_of(groups)
        self._product_of_all = self._products_of([range(len(nets))])
        self._padding = _masks_of_padding(nets, self.tensors[0])
        self._leaves: list[Tensor] = []
        self._gradient = torch.empty_like(self.tensors[0])
        # The hidden layers that drop anything, in any of the trials.
        self._dropping = [layer for layer in range(self._n_layers - 1) if any(net.dropouts[layer] for net in nets)]
        device = self.tensors[0].device
        self._randoms = [] if launch_bound else [torch.Generator(device=device).manual_seed(seed) for seed in seeds]
        self._dropping_widths = [self.tensors[self._n_layers + layer].shape[1] for layer in self._dropping]
        if launch_bound and self._dropping:
            rates = [[net.dropouts[layer] for layer in self._dropping] for net in nets]
            salts = [
                [dropout.salt(seed, *net.calls[layer]) for layer in self._dropping]
                for net, seed in zip(nets, seeds, strict=True)
            ]
            self._mask_function = dropout.MaskFunction(salts, rates, self._dropping_widths, self.tensors[0])

    def _products_of(self, groups: Sequence[range]) -> list[tuple[slice, slice | Tensor]]:
        """Each group's rows of the first layer's weights, and their places among the padded units, `(K h)`."""
        height = self._height
        heights = self._lengths or [height] * len(self)
        products: list[tuple[slice, slice | Tensor]] = []
        for group in groups:
            rows = slice(sum(heights[: group.start]), sum(heights[: group.stop]))
            places: slice | Tensor = slice(group.start * height, group.start * height + rows.stop - rows.start)
            if any(heights[k] < height for k in group[:-1]):  # there is padding between them
                own = [torch.arange(k * height, k * height + heights[k]) for k in group]
                places = torch.cat(own).to(self.tensors[0].device)
            products.append((rows, places))
        return products

    def gradients(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        active, n = len(batch), self._n_layers
        if not self._leaves or len(self._leaves[0]) != active:
            later = *self.tensors[1:n], *self.tensors[n + 1 :]
            self._leaves = [tensor[:active].detach().requires_grad_() for tensor in later]
        units = self._first(batch.inputs, self._products, active, batch.targets.shape[1])
        if n == 1:
            losses, slopes = self.loss.slopes(units, batch)
            others: Sequence[Tensor] = ()
        else:
            scores = self._rest(units.requires_grad_(), self._leaves, self._dropout(batch))
            losses, slopes = self.loss.slopes(scores.detach(), batch)
            slopes, *others = torch.autograd.grad(scores, [units, *self._leaves], slopes)
        # The first layer's gradient by hand: its product goes straight into the one place that it has for all steps.
        first = self._first_gradient(batch.inputs, slopes)
        return losses, [first, *others[: n - 1], slopes.sum(2), *others[n - 1 :]]

    @torch.no_grad()
    def _first(
        self,
        inputs: list[Tensor] | Tensor,
        products: Sequence[tuple[slice, slice | Tensor]],
        active: int,
        longest: int,
    ) -> Tensor:
        """What comes out of the first layer, `(K, h, B)`."""
        weight, bias = self.tensors[0], self.tensors[self._n_layers][:active].unsqueeze(2)
        if isinstance(inputs, Tensor):
            return torch.baddbmm(bias, weight[:active], inputs.mT)
        units = weight.new_zeros(active, self._height, longest)
        rows, all_units = weight.view(-1, weight.shape[-1]), units.view(-1, longest)
        for x, (own, places) in zip(inputs, products, strict=False):
            if isinstance(places, slice):
                torch.mm(rows[own], x.t(), out=all_units[places, : len(x)])
            else:
                all_units[:, : len(x)].index_copy_(0, places, rows[own] @ x.t())
        return units.add_(bias)

    @torch.no_grad()
    def _first_gradient(self, inputs: list[Tensor] | Tensor, slopes: Tensor) -> Tensor:
        """That of the first layer's weights, from that of its output `(K, h, B)`."""
        [gradient, *_] = self.narrowed([self._gradient], len(slopes))
        if isinstance(inputs, Tensor):
            return torch.bmm(slopes, inputs, out=gradient)
        rows, all_slopes = gradient.view(-1, gradient.shape[-1]), slopes.reshape(-1, slopes.shape[2])
        for x, (own, places) in zip(inputs, self._products, strict=False):
            torch.mm(all_slopes[places][:, : len(x)], x, out=rows[own])
        return gradient

    def _rest(self, z: Tensor, later: Sequence[Tensor], masks: Sequence[Tensor | None] | None = None) -> Tensor:
        """Outputs `(K, C, B)` from what came out of the first layer.

        Args:
            later: the other layers' weights, then their biases.
        """
        activation, n = self._nets[0].activation, self._n_layers - 1
        for layer in range(n):
            assert activation is not None  # there are hidden layers
            z = activation(z)
            for factor in (self._padding[layer], None if masks is None else masks[layer]):
                z = z if factor is None else z * factor[: len(z)]
            z = torch.baddbmm(later[n + layer].unsqueeze(2), later[layer], z)
        return z

    @torch.no_grad()
    def _dropout(self, batch: Batch) -> list[Tensor | None] | None:
        """Each hidden layer's mask `(K, h, B)`, divided by the probability of staying; each trial's as drawn alone."""
        if not self._dropping:
            return None
        active, longest = len(batch), batch.targets.shape[1]
        masks: list[Tensor | None] = [None] * (self._n_layers - 1)
        if self._launch_bound:
            drawn = self._mask_function(batch.starts, longest, active, units_first=True)
            for layer, mask in zip(self._dropping, torch.split(drawn, self._dropping_widths, dim=1), strict=True):
                masks[layer] = mask
            return masks
        for layer, width in zip(self._dropping, self._dropping_widths, strict=True):
            masks[layer] = self.tensors[0].new_ones(active, width, longest)
        for k, length in enumerate(batch.lengths):
            for drawn_for, p, width in zip(masks, self._nets[k].dropouts, self._nets[k].widths, strict=True):
                if drawn_for is not None and p > 0:
                    drawn_for[k, :width, :length] = dropout.drawn(drawn_for, (length, width), p, self._randoms[k]).t()
        return masks

    def scores(self, x: Tensor) -> Tensor:
        n = self._n_layers
        units = self._first([x.flatten(1)], self._product_of_all, len(self), len(x))
        return self._rest(units, [*self.tensors[1:n], *self.tensors[n + 1 :]])


def _masks_of_padding(nets: Sequence[Perceptron], like: Tensor) -> list[Tensor | None]:
    """For each hidden layer 1 for a unit and 0 for padding, `(K, h, 1)`; None where none is needed.

    What an activation makes of a padded unit's 0 must not enter the next layer's gradient.
    """
    activation = nets[0].activation
    keeps_zero = activation is not None and float(activation(torch.zeros(()))) == 0.0
    masks: list[Tensor | None] = []
    for layer in range(len(nets[0].widths)):
        widths = torch.tensor([net.widths[layer] for net in nets])
        mask = torch.arange(int(widths.max())) < widths.unsqueeze(1)
        masks.append(None if keeps_zero or mask.all() else mask.unsqueeze(2).to(like))
    return masks
