"""Search spaces that several tests read."""

from __future__ import annotations

LR = {"type": "float", "low": 1e-6, "high": 1.0, "log": True}
GROUP = {
    "optimizer": {
        "type": "choice",
        "choices": {
            "sgd": {"lr": {**LR, "low": 1e-3}, "momentum": {"type": "float", "low": 0, "high": 0.99}},
            "adam": {"lr": {**LR, "high": 1e-2}},
            "plain": None,
        },
    }
}
