"""FashionMNIST: 70,000 pictures of clothing in 10 classes (Xiao et al. 2017, arXiv:1708.07747).

`python -m hpo_pipeline.dataset.fashion_mnist FOLDER` finds it or downloads it into the folder; exit code 1 if neither.
"""

from __future__ import annotations

import sys

from hpo_pipeline.dataset.images import IdxImages
from hpo_pipeline.errors import StudyError


class FashionMNIST(IdxImages):
    """50,000 images for training, 10,000 for validation, 10,000 for the final test, each `(1, 28, 28)`."""

    title = "FashionMNIST"
    package = "fashion-mnist"
    first_labels = (9, 0, 0, 3, 0, 2, 7, 2, 5, 5)


if __name__ == "__main__":
    try:
        FashionMNIST(sys.argv[1], ["/usr/share/datasets/fashion-mnist"]).available()
    except StudyError as error:
        sys.exit(str(error).splitlines()[-2])
