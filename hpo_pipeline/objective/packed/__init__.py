"""Packs: trials trained as one program, each to the numbers that it has alone.

    key.py            which trials can be in one pack: `pack_key`
    epoch.py          an epoch of a pack, or of one trial: `train_pack`, `evaluate_pack`, `train_alone`
    batches.py        which trials take a step when, and the examples that they see in it
    stack.py          the weights of all trials side by side
    loss.py           their losses, with the derivatives
    perceptron.py     the stack of perceptrons, of any widths and batch sizes
    module_stack.py   the stack of any other networks with the same layers, by `torch.func`
    dropout.py        masks that follow from a trial's own seed
    optimizer.py      SGD, Adam and AdamW for all trials at once
    cost.py           what packs cost, measured on copies: how large to make them, and whether to train one at all

An epoch: `train_pack` copies the trials' weights and optimizer states into a `Stack` and a `PackOptimizer`; each
`Batch` gives the stack's gradients, with which the optimizer steps; at the end all is copied back. So nothing is kept
between epochs: a trial can go on alone, elsewhere, or with others.

What is called `x, y` are all examples `(n, *input_shape)` and their targets, as `dataset.task.Task` says.
"""
