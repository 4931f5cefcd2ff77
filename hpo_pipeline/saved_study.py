"""A study, or a training, read back from its folder: one that is over, was interrupted, or is still at work.

    study = load_study("runs/asha-digits")
    study.view.best.config, study.config["scheduler"]

It is what the journal said when it was read; read it again for what has happened since. The folder may be anybody's:
nothing in it is executed, and a file that can't be read is said in one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from hpo_pipeline.errors import StudyError, nearest
from hpo_pipeline.evaluation import Metric
from hpo_pipeline.journal import read
from hpo_pipeline.plain_yaml import plain_yaml
from hpo_pipeline.view import StudyView

JOURNAL, CONFIG, OVERRIDES = "journal.jsonl", "config.yaml", "overrides.yaml"
_MOST_NAMED = 8


@dataclass(frozen=True)
class Study:
    """What a folder says of a study.

    Attributes:
        folder: as it was named.
        view: what its journal tells.
    """

    folder: Path
    view: StudyView

    @property
    def name(self) -> str:
        return str(self.view.header.get("name") or self.folder.absolute().name)

    @property
    def unit(self) -> str:
        """What one unit of resource is called ("epoch")."""
        return str(self.view.header.get("unit") or "resource")

    @property
    def is_training(self) -> bool:
        """Whether it is a single training (train.py)."""
        return self.view.header.get("kind") == "training"

    @cached_property
    def config(self) -> dict[str, Any]:
        """The composed config as it was saved, without secrets; empty if the folder has none.

        Raises:
            StudyError: it can't be read.
        """
        found = self._yaml(CONFIG, {})
        if not isinstance(found, dict):
            raise StudyError(f"{self.folder / CONFIG}: must be a mapping, as a study saves it")
        return {str(key): value for key, value in found.items() if key not in ("defaults", "hydra")}

    @cached_property
    def overrides(self) -> list[str]:
        """What was typed when it began; empty if the folder doesn't say.

        Raises:
            StudyError: it can't be read.
        """
        found = self._yaml(OVERRIDES, [])
        if not isinstance(found, list):
            raise StudyError(f"{self.folder / OVERRIDES}: must be a list, as a study saves it")
        return [str(each) for each in found]

    @property
    def choices(self) -> Mapping[str, str]:
        """Config group -> the option that was chosen ("scheduler" -> "asha")."""
        found = self.config.get("choices")
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}

    def _yaml(self, name: str, missing: Any) -> Any:
        path = self.folder / name
        if path.is_symlink():
            raise StudyError(f"{path}: is a link, which isn't followed")
        if not path.is_file():
            return missing
        try:
            found = plain_yaml(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise StudyError(f"{path}: can't be read ({' '.join(str(error).split())[:200]})") from None
        return missing if found is None else found


def load_study(folder: str | Path, metric: Metric | None = None) -> Study:
    """A study, or a training, read back from its folder; it may be at work.

    Args:
        folder: holds journal.jsonl and, in most cases, config.yaml.
        metric: what trials are ranked by here, instead of the study's own metrics.

    Raises:
        StudyError: there is no such study, or its journal can't be read, or says nothing yet.
    """
    journal = journal_of(folder)
    view = StudyView()
    for record, _ in read(journal):
        if metric is not None and record["event"] == "study":
            record = {**record, "metrics": [asdict(metric)]}
        try:
            view.apply(record)
        except StudyError as error:
            raise StudyError(f"{journal}: {error}") from None
    if not view.header:
        raise StudyError(f"{folder}: nothing is recorded of this study yet")
    return Study(Path(folder), view)


def journal_of(folder: str | Path) -> Path:
    """Where the journal of a study lies; a StudyError says which studies there are instead."""
    place = Path(folder)
    journal = place / JOURNAL
    try:
        if journal.is_file():
            return journal
        if not place.is_dir():
            names = [path.name for path in studies_in(place.parent)]
            raise StudyError(f"{folder}: there is no such folder{nearest(place.name, names) or _named(names)}")
        inside = [path.name for path in studies_in(place)]
    except OSError as error:  # it may not be entered, or its name is too long
        raise StudyError(f"{folder}: can't be read ({error.strerror or error})") from None
    raise StudyError(f"{folder}: is no study's folder, as there is no {JOURNAL} in it{_named(inside)}")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"; studies there: {', '.join(names[:_MOST_NAMED])}{more}" if names else ""


def studies_in(folder: str | Path) -> list[Path]:
    """The folders directly in this one that hold a study or a training, by name."""
    return sorted(path.parent for path in Path(folder).glob(f"*/{JOURNAL}") if path.is_file())
