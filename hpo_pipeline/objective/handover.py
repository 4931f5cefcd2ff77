"""A thread that works only while another one waits for what it gives: code in two places, one of them at a time."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Given = TypeVar("Given")

GRACE_SECONDS = 5.0
"""To end in good order, after which a thread is left behind."""


class EndOfTrial(BaseException):
    """Raised in a trial's training code, where it stands, when the trial has ended: nothing goes wrong.

    Code that has something to put away does so in `finally`.
    """


class Handover(Generic[Given]):
    """Between one who takes and a thread that gives, which is started by the first `take`.

        take(work) -> given;  take(work) -> given;  take(work) -> None, when `work` has returned

    Whatever `work` raises is raised by `take`.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._turn, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._given: Given | None = None
        self._raised: BaseException | None = None
        self._at_work, self._has_ended, self._closed = False, False, False

    @property
    def has_begun(self) -> bool:
        return self._thread is not None

    def take(self, work: Callable[[], object]) -> Given | None:
        """Lets the thread work until it gives something; None if it has ended."""
        self._at_work = True
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(work,), name="trial", daemon=True)
            self._thread.start()
        elif self._has_ended:
            return None
        else:
            self._turn.release()
        self._done.acquire()  # a signal's exception comes out of here, in the main thread
        self._at_work = False
        if self._raised is not None:
            raise self._raised
        given, self._given = self._given, None
        return given

    def _run(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            self._raised = error
        self._has_ended = True
        self._done.release()

    def give(self, value: Given) -> None:
        """Hands something over, in the thread, and waits until the next is wanted.

        Raises:
            EndOfTrial: nothing more is.
        """
        if not self._closed:
            self._given = value
            self._done.release()
            self._turn.acquire()
        if self._closed:
            raise EndOfTrial

    def close(self) -> None:
        """Ends the thread: where it waits, or where it is if `take` was broken off, between two instructions of Python.

        Code that doesn't come to such a place, a call into C that never returns, or that goes on all the same, is left
        to itself.
        """
        self._closed = True
        if self._thread is None or self._has_ended:
            return
        self._turn.release()
        if self._at_work:
            ident = ctypes.c_ulong(self._thread.ident or 0)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(EndOfTrial))
        self._thread.join(GRACE_SECONDS)
