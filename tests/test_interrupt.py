"""Ctrl-C and SIGTERM: what is short is done first."""

from __future__ import annotations

import signal

import pytest

from hpo_pipeline.interrupt import interrupts_held, signals_as_interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_end_of_what_it_must_not_break_off(number):
    done = []

    def write() -> None:
        with interrupts_held():
            signal.raise_signal(number)
            signal.raise_signal(number)
            done.append("the block")
        done.append("what comes after")

    with signals_as_interrupt(), pytest.raises(KeyboardInterrupt):
        write()
    assert done == ["the block"]


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupts_held():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
