"""Commands that go on in further lines: what a shell makes of them is what was meant."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from hpo_pipeline.report.command import Command, overrides

ARGUMENTS = "import json, sys; print(json.dumps(sys.argv[1:]))"
WORDS = [
    *("optimizer.lr=0.00312", "model.n_units_1=412", "dataset.batch_size=85"),
    "dataset.transform={crop: {size: 8, padding: 1}}",
    "name=it's",
    "a=two  spaces",
    "b=back\\slash",
    'c=$HOME `ls` "x" *',
    "d=",
    "e=" + "x" * 90,
    "trial=0",
]


@pytest.mark.parametrize("width", [30, 60, 80, 120])
def test_what_is_pasted_into_a_shell_is_what_was_meant(width):
    words = [*WORDS, *overrides({"f": "a\\'b", "g": [1, "x y", None], "h": {"k": True}})]
    text = Command(shlex.join([sys.executable, "-c", ARGUMENTS, *words])).in_lines(width)
    done = subprocess.run(["sh"], input=f"{text}\necho next\n", capture_output=True, text=True, check=True)
    import json

    told, following = done.stdout.splitlines()
    assert json.loads(told) == words
    assert following == "next"
    lines = text.splitlines()
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert all(line.startswith("  ") for line in lines)
    for line in lines:
        assert len(line) <= width or len(shlex.split(line.removesuffix("\\"))) == 1


def test_a_command_that_fits_is_one_line():
    assert Command("python train.py trial=0").in_lines(80) == "  python train.py trial=0"
