"""A live display that is drawn anew, from the top of the screen, when the terminal has got another size.

Where a terminal becomes narrower, some break the lines that are there into several, and others cut them: how many lines
the last picture takes now, nobody knows. So the screen is cleared; what was said above the picture is said again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console, ConsoleRenderable, RenderableType
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text


class Screen(Live):
    """`rich.live.Live`, without rows that are left over.

    Args:
        picture, console, refresh_per_second: as of `Live`.
        above: what has been said, to be said again.
    """

    def __init__(
        self, picture: RenderableType, console: Console, refresh_per_second: float, above: Callable[[], str]
    ) -> None:
        super().__init__(picture, console=console, refresh_per_second=refresh_per_second)
        self._above = above
        self._drawn_on: tuple[int, int] | None = None

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """What rich prints: where the cursor goes, what is said above the picture, and the picture."""
        shown: list[Any] = super().process_renderables(renderables)
        size = self.console.width, self.console.height
        if self.console.is_interactive:
            if self._drawn_on not in (None, size):
                clear = Control((ControlType.HOME,), (ControlType.CLEAR,))
                shown[1:1] = [clear, Text(self._above(), end="")]
            self._drawn_on = size
        return shown
