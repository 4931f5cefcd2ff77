"""A training that stands still at a gate, so that a study can't be over before a test has interrupted it."""

import os

from hpo_pipeline.objective.training import Training


class GatedTraining(Training):
    """Opens the file GATE when GATED_FROM epochs are done: nothing if it is a file, an endless wait if it is a pipe."""

    def advance(self, state):
        _pass(state.resource)
        return super().advance(state)

    def advance_pack(self, states):
        _pass(max(state.resource for state in states))
        return super().advance_pack(states)


def _pass(resource):
    if resource >= int(os.environ["GATED_FROM"]):
        with open(os.environ["GATE"]):
            pass
