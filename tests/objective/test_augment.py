"""Random changes to training examples: each example its own, of the same shape, and nothing else."""

import pytest
import torch
from torchvision.transforms import v2

from hpo_pipeline.objective.augment import Augment, augment_of, problems

V2 = "torchvision.transforms.v2"
CROP = {"_target_": f"{V2}.RandomCrop", "size": 6, "padding": 2}
FLIP = {"_target_": f"{V2}.RandomHorizontalFlip"}


def pictures(n, size=6, channels=2):
    """Every pixel has another number."""
    return torch.arange(1.0, 1 + n * channels * size * size).view(n, channels, size, size)


def crops_of(example, size, padding):
    padded = torch.nn.functional.pad(example, [padding] * 4)
    return [
        padded[:, top : top + size, left : left + size]
        for top in range(padded.shape[1] - size + 1)
        for left in range(padded.shape[2] - size + 1)
    ]


def test_each_example_is_cropped_on_its_own_and_every_crop_comes_up():
    torch.manual_seed(0)
    x = pictures(1).expand(2000, -1, -1, -1)
    changed = Augment([CROP])(x)
    crops = crops_of(x[0], 6, 2)
    places = [next(i for i, crop in enumerate(crops) if torch.equal(crop, example)) for example in changed]
    counts = torch.bincount(torch.tensor(places), minlength=25)
    assert len(crops) == 25
    # 2000 draws of 25 places: 80 each, with a standard deviation of 8.8
    assert counts.min() > 80 - 5 * 8.8
    assert counts.max() < 80 + 5 * 8.8


def test_about_half_of_the_examples_are_flipped():
    torch.manual_seed(0)
    x = pictures(1).expand(1000, -1, -1, -1)
    changed = Augment([FLIP])(x)
    flipped = sum(torch.equal(example, x[0].flip(-1)) for example in changed)
    assert flipped + sum(torch.equal(example, x[0]) for example in changed) == 1000
    assert abs(flipped - 500) < 80  # five standard deviations


@pytest.mark.parametrize("node", [{"_target_": f"{V2}.RandomVerticalFlip", "p": 1.0}, {**FLIP, "p": 0.0}])
def test_certain_flips_are_those_of_torchvision(node):
    x = pictures(3)
    own = getattr(v2, node["_target_"].rpartition(".")[2])(node["p"])
    assert torch.equal(Augment([node])(x), own(x))


def test_a_transform_that_draws_once_for_what_it_is_given_gets_one_example_at_a_time():
    torch.manual_seed(0)
    x = torch.ones(64, 1, 6, 6)
    erase = {"_target_": f"{V2}.RandomErasing", "p": 0.5}
    erased = (Augment([erase])(x) == 0).flatten(1).any(1)
    assert 16 < erased.sum() < 48


@pytest.mark.parametrize(
    "node",
    [
        {**CROP, "padding_mode": "reflect"},
        {**CROP, "fill": 0.5},
        {**CROP, "padding": [0, 1, 2, 3]},
        {**CROP, "padding": None, "size": 5},
        {**CROP, "padding": None, "pad_if_needed": True, "size": 8},
    ],
)
def test_crops_at_once_are_crops_that_torchvision_makes(node):
    torch.manual_seed(0)
    x = pictures(1, size=6)
    transform = v2.RandomCrop(**{key: value for key, value in node.items() if key != "_target_"})
    possible = {tuple(transform(x[0]).flatten().tolist()) for _ in range(2000)}
    made = Augment([node])(x.expand(200, -1, -1, -1))
    assert {tuple(example.flatten().tolist()) for example in made} <= possible


def test_transforms_may_have_names_so_that_they_can_be_tuned():
    x = pictures(4)
    for node in ([CROP, FLIP], {"crop": CROP, "flip": FLIP}):
        torch.manual_seed(3)
        changed = Augment(node)(x)
        torch.manual_seed(3)
        assert torch.equal(changed, Augment([CROP, FLIP])(x))
    assert augment_of([]) is augment_of(None) is None


def told(node, shape=(2, 6, 6)):
    return [str(problem) for problem in problems(node, shape)]


def test_a_pipeline_that_is_right_has_no_problems():
    assert told([CROP, FLIP]) == told({"crop": CROP}) == told(CROP) == told(None) == told([]) == []
    assert told([CROP], None) == []


@pytest.mark.parametrize(
    ("node", "what"),
    [
        ("crop", "transform: must be a list of transforms, [{_target_: torchvision.transforms.v2.…}, …], got 'crop'"),
        ([3], "transform[0]: must be a mapping with a _target_, got 3"),
        (
            [{**CROP, "sice": 3}],
            "transform[0].sice: torchvision.transforms.v2.RandomCrop takes no 'sice'; did you mean",
        ),
        ({"crop": {**CROP, "_target_": f"{V2}.RandomCrob"}}, "transform.crop._target_: cannot import"),
        ([{"_target_": "os.system", "command": "true"}], "transform[0]._target_: 'os.system' is not on the trust list"),
        ([{"_target_": "torch.nn.Flatten"}], "transform[0]._target_: 'torch.nn.Flatten' is no transform"),
        ([{**CROP, "size": 4}], "transform: makes (2, 6, 6) (2, 4, 4); training examples must stay as large"),
        ([{"_target_": f"{V2}.Normalize", "mean": [0.5], "std": [1.0]}], "transform[0]: Normalize would change the tr"),
        ([{**CROP, "size": 40}], "transform: the transforms fail on an example of shape (2, 6, 6) (Required crop size"),
        ([{"_target_": f"{V2}.RandomHorizontalFlip", "p": 2}], "transform: the transforms fail on an example of shape"),
    ],
)
def test_what_is_wrong_with_a_pipeline_is_said_beforehand(node, what):
    [problem] = told(node)
    assert problem.startswith(what)


def test_looking_for_problems_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    told([CROP, FLIP])
    assert torch.equal(torch.get_rng_state(), before)
