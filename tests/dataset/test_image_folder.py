"""Images in folders: which file is in which part and class, and what its pixels become."""

import numpy as np
import pytest
import torch
from PIL import Image

from hpo_pipeline.dataset import checks
from hpo_pipeline.dataset.image_folder import ImageFolder
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError, StudyError


def draw(path, colour, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def album(root, n=10, **classes):
    """`n` images a class, of its colour but for the blue, which is the image's number."""
    for name, (red, green) in (classes or {"cat": (255, 0), "dog": (0, 255)}).items():
        for i in range(n):
            draw(root / name / f"{i}.png", (red, green, i))
    return str(root)


def numbers(part):
    """(class, number) of each image."""
    return sorted((target, round(float(x[2].mean()) * 255)) for x, target in part)


def test_one_folder_a_class_is_split_by_class_and_every_image_is_in_one_part(tmp_path):
    dataset = ImageFolder(album(tmp_path), size=8, validation=0.3, test=0.2)
    dataset.available()
    splits = checks.load(dataset)
    test = checks.load_test(dataset, splits)
    assert splits.task == Task("classification", 2)
    assert splits.input_shape == (3, 8, 8)
    parts = [numbers(part) for part in (splits.train, splits.validation, test)]
    assert [len(part) for part in parts] == [10, 6, 4]
    assert sorted(parts[0] + parts[1] + parts[2]) == [(kind, i) for kind in (0, 1) for i in range(10)]
    assert [sum(kind for kind, _ in part) for part in parts] == [5, 3, 2]
    assert numbers(checks.load(ImageFolder(str(tmp_path), 8, validation=0.3, test=0.2)).train) == parts[0]
    assert numbers(checks.load(ImageFolder(str(tmp_path), 8, validation=0.3, test=0.2, split_seed=1)).train) != parts[0]


def test_folders_of_parts_are_taken_as_they_are_and_what_is_missing_comes_from_training(tmp_path):
    album(tmp_path / "train")
    for name in ("cat", "dog"):
        draw(tmp_path / "val" / name / "deep" / "a.JPG", (0, 0, 200))
    dataset = ImageFolder(str(tmp_path), size=8, test=0.2)
    splits = dataset.load()
    assert [len(part) for part in (splits.train, splits.validation, dataset.load_test())] == [16, 2, 4]
    assert [target for _, target in splits.validation] == [0, 1]


def test_pixels_are_scaled_the_middle_is_kept_and_grey_is_one_channel(tmp_path):
    pixels = np.zeros((4, 12, 3), np.uint8)
    pixels[:, 4:8] = (255, 0, 51)  # the middle third
    (tmp_path / "a").mkdir()
    for i in range(3):
        Image.fromarray(pixels).save(tmp_path / "a" / f"{i}.png")
    x, target = ImageFolder(str(tmp_path), size=4).load().train[0]
    assert x.shape == (3, 4, 4)
    assert x.dtype == torch.float32
    assert torch.allclose(x, torch.tensor([1.0, 0.0, 0.2]).view(3, 1, 1).expand(3, 4, 4))
    assert target == 0
    grey, _ = ImageFolder(str(tmp_path), size=4, channels=1).load().train[0]
    assert grey.shape == (1, 4, 4)
    # ITU-R 601-2: 0.299 red + 0.114 blue
    assert torch.allclose(grey, torch.full((1, 4, 4), 0.299 + 0.114 * 0.2), atol=1 / 255)


def test_what_is_no_image_is_left_alone_and_a_broken_one_is_named(tmp_path):
    root = album(tmp_path, n=4)
    for name in ("notes.txt", ".hidden.png", "._0.png"):
        (tmp_path / "cat" / name).write_text("no image")
    assert sum(map(len, (ImageFolder(root, 8).load().train, ImageFolder(root, 8).load().validation))) == 6
    for path in (tmp_path / "cat").glob("?.png"):
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(StudyError, match=r"cat/\d\.png: can't be read as an image"):
        ImageFolder(root, 8).load().train[0]


def test_folders_that_are_wrong_are_named(tmp_path):
    def refused(root=tmp_path):
        with pytest.raises(StudyError) as error:
            ImageFolder(str(root), 8).available()
        return str(error.value)

    assert refused(tmp_path / "gone").endswith("there is no such folder; set dataset.root to one with a folder a class")
    assert refused().endswith("holds no folders; each class of images needs one of its name")
    album(tmp_path, n=2)
    assert "cat: 2 images (.bmp, .gif" in refused()
    assert refused().endswith("needs at least 3")
    album(tmp_path / "train", n=5)
    draw(tmp_path / "val" / "cow" / "1.png", (0, 0, 0))
    assert refused().endswith("val: has the class 'cow', train has none of that name")


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        ({"size": 0}, "size"),
        ({"channels": 2}, "channels"),
        ({"channels": True}, "channels"),
        ({"validation": 1.0}, "validation"),
        ({"validation": 0.5, "test": 0.5}, "validation"),
        ({"split_seed": 0.5}, "split_seed"),
        ({"root": ""}, "root"),
    ],
)
def test_arguments_that_are_wrong_are_refused(arguments, path):
    with pytest.raises(ConfigError) as error:
        ImageFolder(**arguments)
    assert [problem.path for problem in error.value.problems] == [path]
