"""Torture: studies are killed, their files damaged, their trials misbehave, their configs are nonsense.

    make torture                                       # everything, in minutes
    make torture ARGS="kills --n 200 --seed 3"         # more of one kind, or other random choices
    make torture ARGS="kills --seed 3 --only 17"       # one case again: what is printed of each failure

Each case follows from the kind's name, the seed and the case's number, and has a sandbox of its own. At the end a table
says what was tried and what came of it. `make test` runs a few cases of each kind.
"""
