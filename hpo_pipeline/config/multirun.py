"""The jobs of a multirun (`-m`): which of them go on when one fails, and what is said when all have ended.

No callback of Hydra's: those stand in a config, which may be anybody's, and would have to be trusted.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode

from hpo_pipeline.config.composed import Composed
from hpo_pipeline.errors import StudyError, one_line
from hpo_pipeline.report.text import plural

if TYPE_CHECKING:
    from hpo_pipeline.comparison import Comparison

_REFUSED, _INTERRUPTED = 2, 130
_GRAVEST = (1, _REFUSED, 3)
"""Exit codes, the one that the whole multirun has first."""
PAGE = "comparison.html"


@dataclass
class Jobs:
    """Told of each job of a command; most commands have but one.

    Attributes:
        codes: of those that have ended.
        folders: of the studies that ran, dry runs left out.
        output: the root key.
    """

    codes: list[int] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    output: str = "auto"
    _is_begun: bool = False

    def begin(self, composed: Composed) -> None:
        """A study is about to run."""
        self.output = str(composed.config["output"])
        if not composed.config["dry_run"]:
            self.folders.append(Path(composed.config["folder"]))
            self._is_begun = True

    def end(self, code: int) -> bool:
        """Whether the next job may follow.

        One that failed doesn't hold up the others, unless nothing has run yet: then what was typed is wrong.
        """
        nothing_ran = all(before == _REFUSED for before in self.codes)
        self.codes.append(code)
        if self._is_begun and code == _REFUSED:
            self.folders.pop()
        self._is_begun = False
        if HydraConfig.get().mode != RunMode.MULTIRUN:
            return not code
        return code != _INTERRUPTED and not (code == _REFUSED and nothing_ran)

    def close(self) -> int:
        """Compares the studies of a multirun; returns the exit code of all jobs."""
        if len(self.codes) > 1:
            self._compare()
        return next((code for code in _GRAVEST if code in self.codes), 0)

    def _compare(self) -> None:
        from hpo_pipeline.comparison import compare

        if not self.folders:
            return
        if refused := self.codes.count(_REFUSED):
            self._say(f"Refused before they began: {refused} of {plural(len(self.codes), 'job')}")
        try:
            self._show(compare(*self.folders))
        except StudyError as error:
            self._say(f"Not compared: {one_line(str(error))}")

    def _show(self, comparison: Comparison) -> None:
        from hpo_pipeline.report.comparison.rows import plain
        from hpo_pipeline.report.comparison.table import print_table

        bare = {re.sub(r"-\d+$", "", name) for name in (folder.name for folder in self.folders)}
        page = self.folders[0].parent / (f"{bare.pop()}-{PAGE}" if len(bare) == 1 else PAGE)
        try:
            comparison.write(page)
            where = f"The curves are in {page}"
        except OSError as error:
            where = f"{page} can't be written ({error.strerror or error}); hpo compare writes it elsewhere: --to …"
        if self.output == "json":
            print(json.dumps({"event": "comparison", **plain(comparison.found), "page": str(page)}), flush=True)
        else:
            print_table(comparison.found)
        self._say(where)

    def _say(self, line: str) -> None:
        if self.output != "json":
            print(line, flush=True)
