"""Perceptrons side by side, of one depth and any widths: narrower ones are padded with units that stay zero.

Everything has its units before its examples: that is how `nn.Linear` keeps its weights, how gradients come out, and
where products and softmax over few classes are fastest.

    K trials    B examples a batch    d inputs    h hidden units    C classes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hpo_pipeline.objective.packed import dropout
from hpo_pipeline.objective.packed.batches import Batch, Group
from hpo_pipeline.objective.packed.plain import overrides_only_its_constructor
from hpo_pipeline.objective.packed.stack import slopes_of

ACTIVATIONS = (nn.ELU, nn.GELU, nn.LeakyReLU, nn.ReLU, nn.Sigmoid, nn.SiLU, nn.Tanh)


@dataclass(frozen=True, slots=True)
class Perceptron:
    """An `nn.Sequential` of Flatten, then Linear, activation and perhaps Dropout again and again, then Linear.

    Attributes:
        linears: the layers that have weights.
        activation: the one of all hidden layers.
        dropouts: each hidden layer's probability.
        calls: each hidden layer's dropout by the name of the module and the number of its earlier calls in a pass.
    """

    linears: list[nn.Linear]
    activation: nn.Module | None
    dropouts: list[float]
    calls: list[tuple[str, int]]

    @property
    def widths(self) -> list[int]:
        """Of the hidden layers."""
        return [linear.out_features for linear in self.linears[:-1]]


def perceptron(model: nn.Module) -> Perceptron | None:
    """`model` as a perceptron, or None if it is, or may be, anything else."""
    if not isinstance(model, nn.Sequential) or not overrides_only_its_constructor(type(model), nn.Sequential):
        return None
    layers = list(model)
    if not layers or not _flattens(layers[0]):
        return None
    linears: list[nn.Linear] = []
    activations: list[nn.Module] = []
    dropouts: list[float] = []
    calls: list[tuple[str, int]] = []
    names = {id(layer): name for name, layer in model.named_modules()}
    for place, layer in enumerate(layers[1:], start=1):
        hidden_without_activation = len(linears) > len(activations)
        if type(layer) is nn.Linear and layer.bias is not None and not hidden_without_activation:
            linears.append(layer)
        elif type(layer) in ACTIVATIONS and hidden_without_activation:
            activations.append(layer)
            dropouts.append(0.0)
            calls.append(("", 0))
        elif type(layer) is nn.Dropout and dropouts and dropouts[-1] == 0.0 and not hidden_without_activation:
            dropouts[-1] = layer.p
            calls[-1] = names[id(layer)], sum(earlier is layer for earlier in layers[:place])
        else:
            return None
    if len(linears) != len(activations) + 1 or len({repr(activation) for activation in activations}) > 1:
        return None
    weights = [weight for linear in linears for weight in (linear.weight, linear.bias)]
    if len({id(weight) for weight in weights}) < len(weights) or not all(weight.requires_grad for weight in weights):
        return None
    if len({(weight.dtype, weight.device) for weight in weights}) > 1:
        return None
    return Perceptron(linears, activations[0] if activations else None, dropouts, calls)


def _flattens(layer: nn.Module) -> bool:
    return type(layer) is nn.Flatten and (layer.start_dim, layer.end_dim) == (1, -1)


class PerceptronStack:
    """The weights of K perceptrons, those of a layer `(K, h_out, h_in)`, and the biases `(K, h)`.

    The first layer is most of the work. On a processor its weights are kept without padding, `(sum of h, d)`, and each
    group of trials that see the same batches has one product. On a GPU (`stacked`) it is like the others. Examples come
    flattened.

    Args:
        nets: the networks.
        groups: of the trials, by what they see.
        seeds: each trial's, of its dropout.
        stacked: whether batches come as one tensor for all trials.
    """

    evaluation_batch = 512

    def __init__(
        self, nets: Sequence[Perceptron], groups: Sequence[Group], seeds: Sequence[int], *, stacked: bool
    ) -> None:
        self.nets = nets
        self._groups = groups
        self._stacked = stacked
        self._n_layers = len(nets[0].linears)
        like = nets[0].linears[0].weight.detach()
        device = like.device
        heights = [net.linears[0].out_features for net in nets]
        self._height = max(heights)
        self._heights = heights
        self._starts = [sum(heights[:k]) for k in range(len(nets) + 1)]
        self._trial_of_row = torch.arange(len(nets)).repeat_interleave(torch.tensor(heights)).to(device)
        places = [torch.arange(height) + k * self._height for k, height in enumerate(heights)]
        self._places = torch.cat(places).to(device)  # of each unpadded row among the padded ones
        weights, biases = [], []
        for layer in range(self._n_layers):
            linears = [net.linears[layer] for net in nets]
            out, inner = max(n.out_features for n in linears), max(n.in_features for n in linears)
            unpadded = layer == 0 and not stacked
            weights.append(like.new_zeros(*((self._starts[-1],) if unpadded else (len(nets), out)), inner))
            biases.append(like.new_zeros(len(nets), out))
        self.tensors: list[Tensor] = [*weights, *biases]
        for k in range(len(nets)):
            for parameter, part in self.parts(k, self.tensors):
                part.copy_(parameter.detach())
        self._masks = _masks_of_padding(nets, like)
        self._leaves: list[Tensor] = []
        self._gradient = torch.empty_like(self.tensors[0])
        # The hidden layers that drop anything, in any of the trials.
        self._dropping = [layer for layer in range(self._n_layers - 1) if any(net.dropouts[layer] for net in nets)]
        self._randoms = [] if stacked else [torch.Generator(device=device).manual_seed(seed) for seed in seeds]
        if stacked and self._dropping:
            self._prepare_dropout(seeds, like)

    def __len__(self) -> int:
        return len(self.nets)

    def parts(self, k: int, tensors: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        found: list[tuple[Tensor, Tensor]] = []
        for layer, linear in enumerate(self.nets[k].linears):
            out, inner = linear.weight.shape
            weight, bias = tensors[layer], tensors[self._n_layers + layer]
            unpadded = layer == 0 and not self._stacked
            own = weight[self._starts[k] : self._starts[k + 1]] if unpadded else weight[k, :out, :inner]
            found += [(linear.weight, own), (linear.bias, bias[k, :out])]
        return found

    def narrowed(self, tensors: Sequence[Tensor], active: int) -> list[Tensor]:
        first = active if self._stacked else self._starts[active]
        return [tensors[0][:first], *(tensor[:active] for tensor in tensors[1:])]

    def of_trials(self, tensors: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
        active = len(tensors[-1])
        first = tensors[0].unbind() if self._stacked else torch.split(tensors[0], self._heights[:active])
        return list(zip(first, *(tensor.unbind() for tensor in tensors[1:]), strict=True))

    def per_trial(self, values: Tensor, active: int) -> list[Tensor]:
        v = values[:active]
        shaped = [*[v.view(-1, 1, 1)] * self._n_layers, *[v.view(-1, 1)] * self._n_layers]
        if not self._stacked:
            shaped[0] = values[self._trial_of_row[: self._starts[active]]].unsqueeze(1)
        return shaped

    def squared_norms(self, tensors: Sequence[Tensor], active: int) -> Tensor:
        squares = [tensor.square().flatten(1).sum(1) for tensor in tensors]
        if not self._stacked:
            rows, squares[0] = squares[0], squares[0].new_zeros(active)
            squares[0].index_add_(0, self._trial_of_row[: len(rows)], rows)
        return torch.stack(squares).sum(0)

    def gradients(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        active, n = len(batch), self._n_layers
        if len(self._leaves) != 2 * n or len(self._leaves[-1]) != active:
            self._leaves = [part.detach().requires_grad_() for part in self.narrowed(self.tensors, active)]
        leaves = self._leaves
        masks = self._dropout(batch)
        if self._stacked:
            scores = self._rest(leaves, _stacked_first(leaves[0], leaves[n], batch.inputs[0]), masks)
            losses, slopes = slopes_of(scores.detach(), batch)
            return losses, list(torch.autograd.grad(scores, leaves, slopes))
        # The first layer's gradient by hand: its product goes straight into the one place that it has for all steps.
        units = self._first(self._groups[: len(batch.inputs)], batch.inputs, batch.classes.shape[1])
        if n == 1:
            losses, slopes = slopes_of(units, batch)
            others: Sequence[Tensor] = ()
        else:
            scores = self._rest(leaves, units.requires_grad_(), masks)
            losses, slopes = slopes_of(scores.detach(), batch)
            slopes, *others = torch.autograd.grad(scores, [units, *leaves[1:n], *leaves[n + 1 :]], slopes)
        first = self._first_gradient(batch.inputs, slopes)
        return losses, [first, *others[: n - 1], slopes.sum(2), *others[n - 1 :]]

    @torch.no_grad()
    def _first(self, groups: Sequence[Group], inputs: Sequence[Tensor], longest: int) -> Tensor:
        """What comes out of the first layer, `(K, h, B)`, each group's product written to its place."""
        active = groups[-1].end
        units = self.tensors[0].new_zeros(active, self._height, longest)
        rows = units.view(-1, longest)
        for group, x in zip(groups, inputs, strict=True):
            start, end = self._starts[group.first], self._starts[group.end]
            weight, columns = self.tensors[0][start:end], rows[:, : len(x)]
            if (place := self._gapless(group)) is not None:
                torch.mm(weight, x.t(), out=columns[place])
            else:
                columns.index_copy_(0, self._places[start:end], weight @ x.t())
        return units.add_(self.tensors[self._n_layers][:active].unsqueeze(2))

    def _first_gradient(self, inputs: Sequence[Tensor], slopes: Tensor) -> Tensor:
        """That of the first layer's weights, from that of its output `(K, h, B)`."""
        rows = slopes.reshape(-1, slopes.shape[2])
        for group, x in zip(self._groups, inputs, strict=False):
            start, end = self._starts[group.first], self._starts[group.end]
            place = self._gapless(group)
            own = rows[place] if place is not None else rows.index_select(0, self._places[start:end])
            torch.mm(own[:, : len(x)], x, out=self._gradient[start:end])
        return self._gradient[: self._starts[len(slopes)]]

    def _gapless(self, group: Group) -> slice | None:
        """Where the group's units are among the padded ones, if there is no padding between them."""
        rows = self._starts[group.end] - self._starts[group.first]
        gaps = (group.end - group.first - 1) * self._height + self._heights[group.end - 1] - rows
        return None if gaps else slice(group.first * self._height, group.first * self._height + rows)

    def _rest(self, tensors: Sequence[Tensor], z: Tensor, masks: Sequence[Tensor | None] | None = None) -> Tensor:
        """Class scores `(K, C, B)` from what came out of the first layer."""
        activation = self.nets[0].activation
        for layer in range(1, self._n_layers):
            assert activation is not None  # there are hidden layers
            z = activation(z)
            padding = self._masks[layer - 1]
            z = z if padding is None else z * padding[: len(z)]
            mask = None if masks is None else masks[layer - 1]
            z = z if mask is None else z * mask
            z = torch.baddbmm(tensors[self._n_layers + layer].unsqueeze(2), tensors[layer], z)
        return z

    def _prepare_dropout(self, seeds: Sequence[int], like: Tensor) -> None:
        """What one call draws all masks by: the dropping layers' units below each other, `(K, sum of h, 1)`."""
        self._dropping_widths = [self.tensors[self._n_layers + layer].shape[1] for layer in self._dropping]
        salts = [
            [dropout.salt(seed, *net.calls[layer]) for layer in self._dropping]
            for net, seed in zip(self.nets, seeds, strict=True)
        ]
        widths = torch.tensor(self._dropping_widths, device=like.device)
        of_units = torch.cat([dropout.units(width, like.device) for width in self._dropping_widths])
        self._keys = torch.tensor(salts, device=like.device).repeat_interleave(widths, dim=1).add_(of_units)
        rates = [[net.dropouts[layer] for layer in self._dropping] for net in self.nets]
        self._rates = dropout.Rates(rates, self._dropping_widths, like)

    @torch.no_grad()
    def _dropout(self, batch: Batch) -> list[Tensor | None] | None:
        """Each hidden layer's mask `(K, h, B)`, divided by the probability of staying; each trial's as drawn alone."""
        if not self._dropping:
            return None
        nets, longest, like = self.nets[: len(batch)], batch.classes.shape[1], self.tensors[0]
        masks: list[Tensor | None] = [None] * (self._n_layers - 1)
        if self._stacked:
            keys = self._keys[: len(batch)].unsqueeze(2) + dropout.examples(batch.starts, longest).unsqueeze(1)
            drawn = torch.split(self._rates.masks(keys), self._dropping_widths, dim=1)
            for layer, mask in zip(self._dropping, drawn, strict=True):
                masks[layer] = mask
            return masks
        for layer in self._dropping:
            masks[layer] = like.new_ones(len(nets), self.tensors[self._n_layers + layer].shape[1], longest)
        for k, (net, random, length) in enumerate(zip(nets, self._randoms, batch.lengths, strict=False)):
            for p, width, drawn_for in zip(net.dropouts, net.widths, masks, strict=True):
                if drawn_for is not None and p == 1:
                    drawn_for[k] = 0.0
                elif drawn_for is not None and p > 0:
                    own = like.new_empty(length, width).bernoulli_(1 - p, generator=random).div_(1 - p)
                    drawn_for[k, :width, :length] = own.t()
        return masks

    def scores(self, x: Tensor) -> Tensor:
        n, x = self._n_layers, x.flatten(1)
        if self._stacked:
            return self._rest(self.tensors, _stacked_first(self.tensors[0], self.tensors[n], x))
        return self._rest(self.tensors, self._first([Group(0, len(self))], [x], len(x)))

    @torch.no_grad()
    def write_back(self) -> None:
        for k in range(len(self)):
            for parameter, part in self.parts(k, self.tensors):
                parameter.copy_(part)


def _stacked_first(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """What comes out of a first layer `(K, h, d)`: of inputs for each trial, `(K, B, d)`, or for all, `(B, d)`."""
    return torch.baddbmm(bias.unsqueeze(2), weight, x.expand(len(weight), -1, -1).mT)


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
