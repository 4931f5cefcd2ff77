"""MNIST: 70,000 handwritten digits (LeCun et al. 1998, "Gradient-based learning applied to document recognition")."""

from __future__ import annotations

from hpo_pipeline.dataset.images import IdxImages


class MNIST(IdxImages):
    """50,000 images for training, 10,000 for validation, 10,000 for the final test, each `(1, 28, 28)`."""

    title = "MNIST"
    package = "mnist"
    first_labels = (5, 0, 4, 1, 9, 2, 1, 3, 1, 4)
