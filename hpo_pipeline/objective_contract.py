"""The contract suite for objectives; `hpo_pipeline.testing` hands it on."""

from __future__ import annotations

import copy
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hpo_pipeline.objective import Objective, SupportsClose, SupportsTarget, TrialSpec
from hpo_pipeline.simulation import ContractError


def check_objective(make: Callable[[], Objective], config: Mapping[str, Any], n: int = 4, seed: int = 0) -> None:
    """Trains a few short trials with an objective, in a folder of their own, and holds it to its contract.

    The same seed gives the same numbers; so does a trial that is saved and goes on, one that is loaded by another
    instance of the objective (in another process), and one beside which another trial is trained. `advance` answers
    names and numbers, those that `metrics` promises among them; `save` writes what it was asked for and nothing else;
    `load` raises where there is no checkpoint, and runs nothing of what a stranger put into one.

    Args:
        make: makes the objective, each time a new one.
        config: of a trial, as it finds it: nested and plain.
        n: units of resource that are trained; at least 2.

    Raises:
        ContractError: naming what was done, and what the interface asks.
    """
    with tempfile.TemporaryDirectory() as folder:
        _Check(make, config, n, seed, Path(folder)).run()


class _Check:
    def __init__(
        self, make: Callable[[], Objective], config: Mapping[str, Any], n: int, seed: int, folder: Path
    ) -> None:
        self._make, self._config, self._n, self._seed = make, copy.deepcopy(dict(config)), n, seed
        self._before = copy.deepcopy(self._config)
        self._folder = folder
        self._saved = folder / "checkpoints" / "saved"
        self._saved.parent.mkdir()

    def run(self) -> None:
        half = self._n // 2
        whole = self._trained(self._n)
        _expect(whole == self._trained(self._n), "the same seed gives the same numbers")

        first = self._make()
        state = first.start(self._trial(0))
        begun = self._advanced(first, state, half)
        first.save(state, self._saved)
        self._look_at_what_was_saved()
        begun += self._advanced(first, state, self._n - half)
        _close(first, state)
        _expect(begun == whole, f"a trial that is saved after {half} units and goes on has the same numbers")

        second = self._make()
        state = second.load(self._trial(0), self._saved)
        rest = self._advanced(second, state, self._n - half)
        _expect(rest == whole[half:], f"a trial that was saved after {half} units and is loaded has the same numbers")
        again = self._saved.with_name("again")
        second.save(state, again)
        _close(second, state)
        _expect(again.exists(), "what was loaded can be saved")

        both = self._make()
        states = [both.start(self._trial(trial_id, self._seed + trial_id)) for trial_id in (0, 1)]
        beside = [self._advanced(both, state, 1)[0] for _ in range(self._n) for state in states]
        _close(both, *states)
        _expect(beside[::2] == whole, "a trial has the same numbers when another one is trained beside it")
        _expect(self._config == self._before, "the config is not the objective's to change")
        self._check_what_is_no_checkpoint()

    def _trial(self, trial_id: int, seed: int | None = None) -> TrialSpec:
        config = {**self._config, "trial": trial_id}
        return TrialSpec(config, self._seed if seed is None else seed, self._folder / "trials" / str(trial_id))

    def _trained(self, n: int) -> list[dict[str, str]]:
        objective = self._make()
        _expect(isinstance(objective.unit, str) and objective.unit != "", "`unit` is a word, such as 'epoch'")
        state = objective.start(self._trial(0))
        found = self._advanced(objective, state, n)
        _close(objective, state)
        return found

    def _advanced(self, objective: Objective, state: Any, n: int) -> list[dict[str, str]]:
        """What `n` calls report, each number to its last digit."""
        if isinstance(objective, SupportsTarget):
            objective.set_target(state, n)
        found = []
        for _ in range(n):
            metrics = objective.advance(state)
            _expect(isinstance(metrics, Mapping), f"`advance` answers names and numbers, not {metrics!r:.100}")
            for name, value in metrics.items():
                fits = isinstance(name, str) and not isinstance(value, (str, bytes)) and hasattr(value, "__float__")
                _expect(fits, f"`advance` answers names and numbers, not {name!r:.100}: {value!r:.100}")
            missing = [name for name in objective.metrics if name not in (*metrics, "seconds")]
            _expect(not missing, f"`metrics` promises {', '.join(missing)}, which `advance` doesn't report")
            found.append({name: repr(float(value)) for name, value in metrics.items() if name != "seconds"})
        return found

    def _look_at_what_was_saved(self) -> None:
        there = sorted(path.name for path in self._saved.parent.iterdir())
        _expect(there == [self._saved.name], f"`save` writes to the path that it gets, and nowhere beside it: {there}")

    def _check_what_is_no_checkpoint(self) -> None:
        loads = self._loads(self._folder / "nothing")
        _expect(not loads, "`load` raises where there is no checkpoint; a trial would begin anew and nobody would know")
        canary = self._folder / "canary"
        for kind, change in _TRAPS.items():
            there = self._saved.with_name(kind.replace(" ", "_"))
            (shutil.copytree if self._saved.is_dir() else shutil.copyfile)(self._saved, there)
            for path in [path for path in (there, *there.rglob("*")) if path.is_file()]:
                change(path, _trap(canary))
            self._loads(there)
            _expect(not canary.exists(), f"nothing in a checkpoint is executed; {kind} in its place was")

    def _loads(self, path: Path) -> bool:
        objective = self._make()
        try:
            state = objective.load(self._trial(2), path)
        except Exception:
            return False
        _close(objective, state)
        return True


def _close(objective: Objective, *states: Any) -> None:
    if isinstance(objective, SupportsClose):
        for state in states:
            objective.close(state)


def _trap(canary: Path) -> bytes:
    """A pickle that makes a folder when it is loaded."""
    return b"cos\nmkdir\n(V" + str(canary).encode("raw_unicode_escape") + b"\ntR."


def _as_pickle(path: Path, trap: bytes) -> None:
    path.write_bytes(trap)


def _within_archive(path: Path, trap: bytes) -> None:
    """In a zip archive, as NumPy and torch write them: in place of each array of objects, and each pickle."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + trap
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, trap if name.endswith(".pkl") else array if name.endswith(".npy") else content)


_TRAPS: dict[str, Callable[[Path, bytes], None]] = {
    "a pickle": _as_pickle,
    "an archive with pickles": _within_archive,
}


def _expect(kept: bool, promise: str) -> None:
    if not kept:
        raise ContractError(f"broken: {promise}")
