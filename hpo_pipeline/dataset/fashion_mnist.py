"""FashionMNIST: 70,000 pictures of clothing in 10 classes (Xiao et al. 2017, arXiv:1708.07747)."""

from __future__ import annotations

from hpo_pipeline.dataset.images import IdxImages


class FashionMNIST(IdxImages):
    """50,000 images for training, 10,000 for validation, 10,000 for the final test, each `(1, 28, 28)`."""

    title = "FashionMNIST"
    package = "fashion-mnist"
    first_labels = (9, 0, 0, 3, 0, 2, 7, 2, 5, 5)
