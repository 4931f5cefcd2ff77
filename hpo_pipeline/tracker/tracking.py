"""A study's trackers at work, each followed by a thread of its own: none of them holds up another, nor the study."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from hpo_pipeline.interrupt import signals_as_interrupt
from hpo_pipeline.tracker import Tracker
from hpo_pipeline.tracker.follower import Closed, Follower

_LOOK_SECONDS = 0.2
_LAST_CALL_SECONDS = 2.0


class Tracking:
    """Begins to follow folder/journal.jsonl for each of the trackers, with what `Tracker.writer` asks for.

    tracking = Tracking(trackers, folder, config, commands); ...; tracking.close(60, print) -> Closed(True, …)
    """

    def __init__(
        self, trackers: Iterable[Tracker], folder: Path, config: Mapping[str, Any], commands: Mapping[str, str]
    ) -> None:
        writers = [tracker.writer(folder, config, commands) for tracker in trackers]
        journal, resume = folder / "journal.jsonl", commands.get("resume", "")
        self._followers = [Follower(writer, journal, resume) for writer in writers if writer is not None]
        for follower in self._followers:
            follower.thread.start()

    def close(self, patience: float, show: Callable[[str], None]) -> Closed:
        """The session has ended: waits for what is left to be written. Ctrl-C ends that at once.

        Args:
            patience: seconds without progress after which a tracker is given up.
            show: called now and then with a line on how far it is.
        """
        for follower in self._followers:
            follower.ended.set()
        try:
            with signals_as_interrupt():
                self._wait(patience, show)
        except KeyboardInterrupt:
            for follower in self._awaited():
                follower.give_up("stopped by Ctrl-C")
        last_call = time.monotonic() + min(patience, _LAST_CALL_SECONDS)
        with contextlib.suppress(KeyboardInterrupt):
            for follower in self._followers:
                follower.thread.join(max(0.0, last_call - time.monotonic()))
        closed = [follower.closed() for follower in self._followers]
        return Closed(all(each.complete for each in closed), "\n".join(each.text for each in closed if each.text))

    def abandon(self, why: str) -> None:
        """Writes nothing more."""
        for follower in self._followers:
            follower.give_up(why)

    def _awaited(self) -> list[Follower]:
        return [follower for follower in self._followers if follower.is_awaited()]

    def _wait(self, patience: float, show: Callable[[str], None]) -> None:
        began = time.monotonic()
        while awaited := self._awaited():
            awaited[0].thread.join(min(_LOOK_SECONDS, patience))
            for follower in self._awaited():
                if time.monotonic() - max(began, follower.progressed) >= patience:
                    follower.give_up(f"nothing could be written for {patience:g} s")
            if awaited := self._awaited():
                how_far = "; ".join(follower.status() for follower in awaited)
                show(f"{how_far}; Ctrl-C leaves the rest for later")
