"""Images in folders: one folder a class, its name the class, read from their files as they are needed.

root/cat/1.png, root/cat/more/2.jpg, root/dog/3.png          split by the dataset, or
root/train/cat/1.png, root/val/cat/2.png, root/test/cat/3.png  by folders, as ImageNet is
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset as MapDataset

from hpo_pipeline.checks import integer_problems, is_integer, is_number, value_problems
from hpo_pipeline.dataset import MapSplits
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError, Problem, StudyError
from hpo_pipeline.seeding import generator

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
FORMATS = ("BMP", "DIB", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Of Pillow's, those of these suffixes: others, whatever a file is called, would start programs (Ghostscript)."""
PARTS = {"train": ("train",), "validation": ("val", "validation", "valid"), "test": ("test",)}
"""Part -> the folders in `root` that may hold it."""


class ImageFolder:
    """Images `(channels, size, size)`, float32 in [0, 1]: the shorter side resized to `size`, cut in the middle.

    Where `root` has a folder `train`, that is trained on, and `val` (or `validation`) and `test` are the other parts;
    a part that has no folder is taken from the training images, by class: of each, a share of `validation` and of
    `test`. Else the folders in `root` are the classes, and both parts are taken so.

    Args:
        root: the folder; `~` is the home folder.
        size: height and width of the images, in pixels.
        channels: 3 for colour, 1 for grey.
        validation, test: share of the images of each class that is kept, in (0, 1); one image at least.
        split_seed: which ones.
    """

    def __init__(
        self,
        root: str = "data/images",
        size: int = 64,
        channels: int = 3,
        validation: float = 0.2,
        test: float = 0.1,
        split_seed: int = 0,
    ) -> None:
        problems = integer_problems(size=size) + integer_problems(least=0, split_seed=split_seed)
        if not is_integer(channels) or channels not in (1, 3):
            problems.append(Problem("channels", "must be 3 (colour) or 1 (grey)", channels))
        shares = {"validation": validation, "test": test}
        fits = value_problems("a share between 0 and 1", lambda x: is_number(x) and 0 < x < 1, **shares)
        problems += fits
        if not fits and validation + test >= 1:
            what = f"leaves nothing to train on: validation and test are {validation + test:g} of the images"
            problems.append(Problem("validation", what))
        if not isinstance(root, str) or not root:
            problems.append(Problem("root", "must be the path of a folder", root))
        if problems:
            raise ConfigError(problems)
        self.root = Path(root).expanduser()
        self.input_shape = (channels, size, size)
        self._shares = shares
        self._split_seed = split_seed

    def available(self) -> None:
        self._files()

    def load(self) -> MapSplits:
        classes, parts = self._files()
        train, validation = (self._images(parts[name]) for name in ("train", "validation"))
        return MapSplits(train, validation, Task("classification", len(classes)))

    def load_test(self) -> MapDataset[Any]:
        return self._images(self._files()[1]["test"])

    def sources(self) -> list[Path]:
        return [self.root]

    def _images(self, files: Sequence[tuple[Path, int]]) -> Images:
        return Images(files, self.input_shape)

    def _files(self) -> tuple[list[str], dict[str, list[tuple[Path, int]]]]:
        """The classes, and of each part the files with their classes' numbers."""
        root = self.root
        if not root.is_dir():
            raise StudyError(
                f"{root.absolute()}: there is no such folder; set dataset.root to one with a folder a class"
            )
        found = {part: _first_folder(root, names) for part, names in PARTS.items()}
        whole = found["train"] or root
        classes = _folders(whole)
        if not classes:
            raise StudyError(f"{whole.absolute()}: holds no folders; each class of images needs one of its name")
        number = {name: i for i, name in enumerate(classes)}
        parts: dict[str, list[tuple[Path, int]]] = {part: [] for part in PARTS}
        for part in ("validation", "test") if found["train"] else ():
            if (folder := found[part]) is None:
                continue
            if strange := sorted(set(_folders(folder)) - set(classes)):
                raise StudyError(
                    f"{folder.absolute()}: has the class {strange[0]!r}, {whole.name} has none of that name"
                )
            parts[part] = [(file, number[name]) for name in _folders(folder) for file in _images_in(folder / name)]
            if not parts[part]:
                raise StudyError(f"{folder.absolute()}: holds no images ({_kinds()})")
        missing = [part for part in ("validation", "test") if not parts[part]]
        for name in classes:
            files = _images_in(whole / name)
            if len(files) <= len(missing):
                least = len(missing) + 1
                raise StudyError(
                    f"{(whole / name).absolute()}: {len(files)} images ({_kinds()}); needs at least {least}"
                )
            order = generator(self._split_seed, "split", name).permutation(len(files))
            for part in missing:
                n = min(max(1, round(self._shares[part] * len(files))), len(order) - 1)
                parts[part] += [(files[i], number[name]) for i in sorted(order[:n])]
                order = order[n:]
            parts["train"] += [(files[i], number[name]) for i in sorted(order)]
        return classes, parts


class Images(MapDataset[tuple[Tensor, int]]):
    """Image files as examples.

    Args:
        files: with the numbers of their classes.
        shape: of an example, `(channels, height, width)`.
    """

    def __init__(self, files: Sequence[tuple[Path, int]], shape: tuple[int, int, int]) -> None:
        self._names = np.array([str(path) for path, _ in files])  # one piece of memory, whoever forks
        self._classes = np.array([number for _, number in files])
        self._shape = shape

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path = str(self._names[index])
        try:
            return read_image(path, self._shape), int(self._classes[index])
        except (OSError, ValueError, SyntaxError) as error:
            raise StudyError(f"{path}: can't be read as an image ({error}); remove it or replace it") from None


def read_image(path: str, shape: tuple[int, int, int]) -> Tensor:
    """The image in a file, `shape`, float32 in [0, 1]: resized to cover it, and cut in the middle."""
    from PIL import Image, ImageOps

    channels, height, width = shape
    try:
        opened = Image.open(path, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ValueError(str(error)) from None
    with opened as image:
        found = image.convert("RGB" if channels == 3 else "L")
    fitted = ImageOps.fit(found, (width, height), method=Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.asarray(fitted, dtype=np.float32) / 255)
    return pixels.permute(2, 0, 1).contiguous() if channels == 3 else pixels.unsqueeze(0)


def _first_folder(root: Path, names: Sequence[str]) -> Path | None:
    return next((root / name for name in names if (root / name).is_dir()), None)


def _folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images_in(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in found if not path.name.startswith("."))


def _kinds() -> str:
    return ", ".join(sorted(SUFFIXES))
