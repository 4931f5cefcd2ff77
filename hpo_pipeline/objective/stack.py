"""The weights of several perceptrons side by side, so that one call works on all of them.

K trials    B examples a batch    d inputs    h hidden units    C classes
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ACTIVATIONS = (nn.ELU, nn.GELU, nn.LeakyReLU, nn.ReLU, nn.Sigmoid, nn.SiLU, nn.Tanh)


@dataclass(frozen=True, slots=True)
class Perceptron:
    """An `nn.Sequential` of Flatten, then Linear, activation and perhaps Dropout again and again, then Linear.

    Attributes:
        linears: the layers that have weights.
        activation: the one of all hidden layers.
        dropouts: each hidden layer's probability.
    """

    linears: list[nn.Linear]
    activation: nn.Module | None
    dropouts: list[float]

    @property
    def widths(self) -> list[int]:
        return [linear.out_features for linear in self.linears[:-1]]


def perceptron(model: nn.Module) -> Perceptron | None:
    """`model` as a perceptron, or None if it is anything else."""
    if not isinstance(model, nn.Sequential) or not isinstance(model[0], nn.Flatten):
        return None
    linears: list[nn.Linear] = []
    activations: list[nn.Module] = []
    dropouts: list[float] = []
    for layer in list(model)[1:]:
        hidden_without_activation = len(linears) > len(activations)
        if type(layer) is nn.Linear and layer.bias is not None and not hidden_without_activation:
            linears.append(layer)
        elif isinstance(layer, ACTIVATIONS) and hidden_without_activation:
            activations.append(layer)
            dropouts.append(0.0)
        elif type(layer) is nn.Dropout and dropouts and dropouts[-1] == 0.0 and not hidden_without_activation:
            dropouts[-1] = layer.p
        else:
            return None
    if len(linears) != len(activations) + 1 or len({repr(activation) for activation in activations}) > 1:
        return None
    return Perceptron(linears, activations[0] if activations else None, dropouts)


class Stack:
    """The weights of K perceptrons side by side, in the order of `nets`.

    Layers are padded to the widest trial: the first `(K, h, d)`, the others `(K, h_in, h_out)`. If all trials see the
    same batches (`shared`), the first is kept without padding, the units of all trials below each other,
    `(sum of h, d)`: one large product. Each order is the one in which gradients come out, so that both lie alike.
    `large` networks have `nn.Linear`'s order everywhere, `(K, h_out, h_in)`: their own optimizers step them.
    """

    def __init__(self, nets: Sequence[Perceptron], *, shared: bool, large: bool) -> None:
        self.nets = nets
        self.shared = shared
        self.large = large
        self.n_layers = len(nets[0].linears)
        device = nets[0].linears[0].weight.device
        self.outputs = [net.linears[0].out_features for net in nets]
        self.starts = [sum(self.outputs[:k]) for k in range(len(nets))]
        self.trial_of_unit = torch.repeat_interleave(torch.arange(len(nets)), torch.tensor(self.outputs)).to(device)
        self.first_width = max(self.outputs)
        self.equal_first = len(set(self.outputs)) == 1
        # Column k·h + j of the padded output is unit j of trial k, or the column of zeros behind the last unit.
        columns = [
            self.starts[k] + j if j < self.outputs[k] else sum(self.outputs)
            for k in range(len(nets))
            for j in range(self.first_width)
        ]
        self.columns = torch.tensor(columns, device=device)
        self.weights: list[Tensor] = []
        self.biases: list[Tensor] = []
        like = nets[0].linears[0].weight.detach()
        if shared:
            self.weights.append(like.new_zeros(sum(self.outputs), like.shape[1]))
            self.biases.append(like.new_zeros(sum(self.outputs)))
        for layer in range(len(self.weights), self.n_layers):
            linears = [net.linears[layer] for net in nets]
            rows, inputs = max(n.out_features for n in linears), max(n.in_features for n in linears)
            weight = like.new_zeros(len(nets), *((rows, inputs) if large or layer == 0 else (inputs, rows)))
            self.weights.append(weight)
            self.biases.append(like.new_zeros(len(nets), rows))
        for k in range(len(nets)):
            for parameter, part in self.parts(k, self.tensors()):
                part.copy_(parameter.detach())
        # What an activation makes of a padded unit's 0 must not enter the next layer's gradient.
        activation = nets[0].activation
        self.units: list[Tensor | None] = []
        for layer in range(self.n_layers - 1):
            width = [net.linears[layer].out_features for net in nets]
            keeps_zero = activation is not None and float(activation(torch.zeros(()))) == 0.0
            mask = torch.arange(max(width), device=device) < torch.tensor(width, device=device).unsqueeze(1)
            self.units.append(None if keeps_zero or mask.all() else mask.unsqueeze(1).to(like.dtype))

    def __len__(self) -> int:
        return len(self.nets)

    def parts(self, k: int, tensors: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Trial k's parameters, each with the view, of the same shape, of its part of `tensors`."""
        units = slice(self.starts[k], self.starts[k] + self.outputs[k])
        found: list[tuple[Tensor, Tensor]] = []
        for layer, linear in enumerate(self.nets[k].linears):
            out, inner = linear.weight.shape
            weight, bias = tensors[layer], tensors[self.n_layers + layer]
            if layer == 0 and self.shared:
                found += [(linear.weight, weight[units]), (linear.bias, bias[units])]
            else:
                as_is = self.large or layer == 0
                found += [(linear.weight, weight[k, :out, :inner] if as_is else weight[k, :inner, :out].t())]
                found += [(linear.bias, bias[k, :out])]
        return found

    def tensors(self, active: int | None = None) -> list[Tensor]:
        """Weights, then biases; of the first `active` trials."""
        return self.narrowed([*self.weights, *self.biases], len(self) if active is None else active)

    def narrowed(self, tensors: Sequence[Tensor], active: int) -> list[Tensor]:
        """The first `active` trials' part of tensors that are laid out as `tensors()`."""
        if active == len(self):
            return list(tensors)
        parts = [tensor[:active] for tensor in tensors]
        if self.shared:
            units = self.starts[active]
            parts[0] = tensors[0][:units]
            parts[self.n_layers] = tensors[self.n_layers][:units]
        return parts

    def per_trial(self, values: Tensor, active: int) -> list[Tensor]:
        """`values` `(K,)` shaped so that each trial's multiplies its part of `tensors(active)`."""
        v = values[:active]
        shaped = [*[v.view(-1, 1, 1)] * self.n_layers, *[v.view(-1, 1)] * self.n_layers]
        if self.shared:
            units = values[self.trial_of_unit[: self.starts[active] if active < len(self) else None]]
            shaped[0] = units.unsqueeze(1)
            shaped[self.n_layers] = units
        return shaped

    def squared_norms(self, gradients: Sequence[Tensor], active: int) -> Tensor:
        """Of each trial's gradient, `(active,)`."""
        total = gradients[0].new_zeros(active)
        for i, gradient in enumerate(gradients):
            if self.shared and i in (0, self.n_layers):
                units = self.trial_of_unit[: len(gradients[self.n_layers])]
                square = gradient.square()
                total.index_add_(0, units, square if square.dim() == 1 else square.sum(1))
            else:
                total += gradient.square().flatten(1).sum(1)
        return total

    def first_layer(self, tensors: Sequence[Tensor], inputs: Sequence[Tensor], rows: int) -> Tensor:
        """What comes out of the first layer, `(B, sum of h)` for one batch for all, else `(K, rows, h)`.

        Where each trial has a batch of its own, this is a product for each: to gather the batches into one tensor for a
        single product would move more memory than the products read.
        """
        weight, bias = tensors[0], tensors[self.n_layers]
        if self.shared:
            return torch.addmm(bias, inputs[0], weight.t())
        z = weight.new_zeros(len(weight), weight.shape[1], rows)
        for k, x in enumerate(inputs):
            # Weights times inputs: the other way round, a product of few columns is several times as slow.
            torch.mm(weight[k], x.t(), out=z[k, :, : len(x)])
        return z.mT + bias.unsqueeze(1)

    def first_gradients(self, inputs: Sequence[Tensor], slopes: Tensor, into: Tensor) -> list[Tensor]:
        """The gradients of the first layer's weights (written `into` a tensor like them) and biases.

        By hand, because the weights' gradient is most of the memory that a step writes: it has one place for all steps.
        """
        pairs = [(inputs[0], slopes, into)] if self.shared else zip(inputs, slopes, into, strict=True)
        for x, slope, place in pairs:
            torch.mm(slope[: len(x)].t(), x, out=place)
        return [into, slopes.sum(-2)]

    def rest(self, tensors: Sequence[Tensor], z: Tensor, active: int, masks: Sequence[Tensor | None]) -> Tensor:
        """Class scores `(K, B, C)` from what came out of the first layer.

        `masks`: each hidden layer's dropout, already divided by the probability of staying, or None.
        """
        weights, biases = tensors[: self.n_layers], tensors[self.n_layers :]
        if self.shared:
            if not self.equal_first:
                columns = self.columns[: active * self.first_width]
                columns = columns.clamp(max=self.starts[active]) if active < len(self) else columns
                z = torch.cat([z, z.new_zeros(len(z), 1)], 1).index_select(1, columns)
            z = z.view(len(z), active, self.first_width).transpose(0, 1)
        activation = self.nets[0].activation
        for layer in range(1, self.n_layers):
            assert activation is not None  # there are hidden layers
            z = activation(z)
            units_mask, dropout = self.units[layer - 1], masks[layer - 1]
            if units_mask is not None:
                z = z * units_mask[:active]
            if dropout is not None:
                z = z * dropout
            z = torch.baddbmm(biases[layer].unsqueeze(1), z, weights[layer].mT if self.large else weights[layer])
        return z

    @torch.no_grad()
    def write_back(self) -> None:
        """Puts the weights back into the trials' own models."""
        for k in range(len(self)):
            for parameter, part in self.parts(k, self.tensors()):
                parameter.copy_(part)
