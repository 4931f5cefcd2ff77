"""Hypothesis strategies: values, search spaces, overrides and config files, right ones and nonsense.

What is hostile tries to make the file `CANARY`, a word that the fuzz replaces by the sandbox's path.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

CANARY = "CANARY"

NUMBERS = st.one_of(
    st.integers(-3, 40),
    st.integers(),
    st.sampled_from([0, 1, -1, 2**31, 2**63, 10**18, 10**30, -(10**30)]),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1e-300, 1e300, 5e-324, 1.7e308, 0.5, 1e-3, float("nan"), float("inf"), -float("inf")]),
)
WORDS = st.sampled_from(
    (
        *("", " ", "null", "true", "nan", "inf", "1e-3", "~", "a" * 300, "..", ".", "/", "a/b", "../out", "C:\\", "\\"),
        *("ünïcödé", "日本", "\u202e", "\ud800", "\x00", "\n", "a\nb", "\t", "'", '"', "{", "}", "[", "]", "${", "${}"),
        *("${seed}", "${name}", "${nowhere}", "${oc.env:HOME}", "${oc.env:NOT_SET}", "${oc.env:NOT_SET,1}"),
        *("${oc.create:{a: 1}}", "${oc.decode:'1'}", "${oc.select:seed}", "${now:%Y}", "${hydra:job.name}", "???"),
        *("${model.n_units_1}", "${search_space}", "${oc.dict.keys:model}", "${.lr}", "${..x}", "$", "%s", "{0}"),
        *(
            "min",
            "max",
            "auto",
            "cpu",
            "cuda",
            "cuda:9",
            "meta",
            "validation_error",
            "validation_loss",
            "learning_rate",
        ),
        *("relu", "tanh", "adam", "sgd", "mlp", "low", "medium", "high", "equal", "nearest", "promotion", "stopping"),
    )
)
TARGETS = st.sampled_from(
    (
        *("os.system", "builtins.eval", "builtins.open", "pathlib.Path", "pathlib.Path.write_text", "subprocess.run"),
        *("numpy.save", "torch.save", "torch.load", "torch.hub.load_state_dict_from_url", "shutil.rmtree"),
        *("hpo_pipeline.config.os.system", "hpo_pipeline.build.importlib.import_module", "hpo_pipeline.build.build"),
        *("hpo_pipeline.objective.checkpoint.write", "hpo_pipeline.executor.runner.discard_checkpoints"),
        *("hpo_pipeline.tracker.mlflow.Store", "hpo_pipeline.model.mlp.MLP", "hpo_pipeline.model.softmax.Softmax"),
        *("hpo_pipeline.scheduler.Scheduler", "hpo_pipeline.scheduler.asha.ASHA", "hpo_pipeline.scheduler.fifo.FIFO"),
        *("hpo_pipeline.scheduler.pbt.PBT", "hpo_pipeline.scheduler.asha", "hpo_pipeline.searcher.grid.GridSearch"),
        *("hpo_pipeline.searcher.Searcher", "hpo_pipeline.objective.Objective", "hpo_pipeline.dataset.digits.Digits"),
        *(
            "torch.nn.Linear",
            "torch.nn.Module",
            "torch.nn.Sequential",
            "torch.nn.ReLU",
            "torch.nn.Module.load_state_dict",
        ),
        *("torch.optim.Adam", "torch.optim.Optimizer", "torch.optim.lr_scheduler.StepLR", "torch.optim.SGD.step"),
        *(
            "torchvision.models.resnet18",
            "torchvision.models.ResNet18_Weights.get_state_dict",
            "torch.nn.functional.relu",
        ),
        *("", ".", "a", "a.b", "os", "hpo_pipeline", "torch.nn", "torch.nn.NoSuchThing", "1", "..", "torch..nn", "é.b"),
    )
)
SCALARS = st.one_of(NUMBERS, WORDS, st.booleans(), st.none(), st.text(max_size=8))
KEYS = st.one_of(
    st.sampled_from(
        (
            *(
                "_target_",
                "_partial_",
                "_args_",
                "_recursive_",
                "_convert_",
                "self",
                "lr",
                "eta",
                "type",
                "low",
                "high",
            ),
            *("max_resource", "n_units_1", "dropout_1", "betas", "choices", "when", "prior", "constraints", "setup"),
            *("trials", "space", "seed", "devices", "threads", "n_workers", "uri", "function", "device", "weights"),
        )
    ),
    st.text(min_size=1, max_size=5),
)
NODES: SearchStrategy[dict[str, Any]] = st.builds(
    lambda target, keys, extra: {"_target_": target} | keys | extra,
    st.one_of(TARGETS, SCALARS),
    st.dictionaries(KEYS, SCALARS, max_size=3),
    st.sampled_from(
        [{}, {"_partial_": True}, {"_args_": [CANARY]}, {"path": CANARY}, {"self": {"url": f"file://{CANARY}"}}]
    ),
)
VALUES: SearchStrategy[Any] = st.recursive(
    st.one_of(SCALARS, NODES),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(KEYS, NUMBERS), inner, max_size=4)),
    max_leaves=6,
)

# -- search spaces -----------------------------------------------------------------------------------------------------

PATHS = ("optimizer.lr", "optimizer.weight_decay", "model.n_units_1", "model.n_units_2", "model.dropout_1")
PATHS += ("dataset.batch_size", "model.activation", "optimizer", "model", "seed", "max_resource", "model.nothing")
BOUNDS = st.one_of(
    st.integers(-5, 2000),
    st.floats(1e-8, 1e3),
    st.sampled_from([0, 1, 1e-300, 1e300, -1e300, 1e-6, 0.5, 2**53, 10**400, -1, 5e-324]),
    SCALARS,
)
OPTIONS = st.lists(
    st.one_of(st.integers(0, 9), st.floats(0, 1), st.booleans(), st.sampled_from(["relu", "tanh", "a"]), SCALARS),
    max_size=5,
)
CENTERS = st.one_of(BOUNDS, WORDS)
PRIORS = st.one_of(
    st.builds(
        lambda center, confidence: {"center": center, "confidence": confidence},
        CENTERS,
        st.one_of(st.sampled_from(["low", "medium", "high"]), SCALARS),
    ),
    VALUES,
)
CONDITIONS = st.one_of(
    st.dictionaries(st.sampled_from(PATHS), st.one_of(SCALARS, st.lists(SCALARS, max_size=3)), max_size=2), VALUES
)


def _leaf(kind: str, needed: dict[str, Any], optional: dict[str, Any]) -> SearchStrategy[dict[str, Any]]:
    optional = optional | {"when": CONDITIONS, "prior": PRIORS, "nonsense": SCALARS}
    return st.fixed_dictionaries({"type": st.just(kind), **needed}, optional=optional)


def _mostly(chance: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.one_of(st.booleans(), st.booleans(), chance)


LEAVES = st.one_of(
    _leaf("float", {"low": BOUNDS, "high": BOUNDS}, {"log": _mostly(SCALARS), "step": BOUNDS, "n": BOUNDS}),
    _leaf("float", {"low": st.floats(1e-6, 0.5), "high": st.floats(0.5, 10)}, {"log": st.booleans()}),
    _leaf(
        "int", {"low": BOUNDS, "high": BOUNDS}, {"log": _mostly(SCALARS), "step": BOUNDS, "n": BOUNDS, "base": BOUNDS}
    ),
    _leaf(
        "int", {"low": st.integers(1, 9), "high": st.integers(9, 99)}, {"log": st.booleans(), "step": st.integers(1, 9)}
    ),
    _leaf("choice", {"choices": st.one_of(OPTIONS, st.dictionaries(KEYS, VALUES, max_size=3), SCALARS)}, {}),
    _leaf("ordinal", {"choices": st.one_of(OPTIONS, SCALARS)}, {"encoding": WORDS, "log": _mostly(SCALARS)}),
    _leaf(
        "scipy",
        {
            "distribution": st.one_of(
                st.sampled_from(
                    [
                        "norm",
                        "uniform",
                        "randint",
                        "poisson",
                        "beta",
                        "loguniform",
                        "rv_continuous",
                        "zipf",
                        "levy_stable",
                    ]
                ),
                SCALARS,
            )
        },
        {"loc": BOUNDS, "scale": BOUNDS, "a": BOUNDS, "b": BOUNDS, "low": BOUNDS, "high": BOUNDS, "mu": BOUNDS},
    ),
    st.dictionaries(KEYS, VALUES, max_size=4),
    VALUES,
)
EXPRESSIONS = st.one_of(
    st.sampled_from(
        (
            *("model.n_units_2 <= model.n_units_1", "optimizer.lr < 0", "1", "True", "", "optimizer.lr / 0 > 1", "x"),
            *(
                "model.n_units_1 ** 999999999 > 1",
                "(" * 200,
                "__import__('os').system('touch CANARY')",
                "1 if 1 else 2",
            ),
            *(
                "optimizer.lr == 'a'",
                "model.activation < 1",
                "not",
                "optimizer.lr <",
                "[]",
                "lambda: 1",
                "-" * 5000 + "1",
            ),
            *("model.n_units_1 % 0 == 0", "1e400 > optimizer.lr", "10 ** 10 ** 10 > 1", "'a' * 10 ** 12 == ''"),
        )
    ),
    SCALARS,
)
POINTS = st.one_of(
    st.lists(
        st.one_of(st.dictionaries(st.one_of(st.sampled_from(PATHS), KEYS), SCALARS, max_size=3), SCALARS), max_size=3
    )
)


def tree_of(leaves: dict[str, Any], constraints: Any) -> dict[str, Any]:
    """`{"optimizer.lr": leaf}` -> `{"optimizer": {"lr": leaf}}`."""
    tree: dict[str, Any] = {}
    for path, leaf in leaves.items():
        group, _, key = path.partition(".")
        inner = tree.setdefault(group, {}) if key else tree
        if isinstance(inner, dict):
            inner[key or group] = leaf
    return tree if constraints is None else tree | {"constraints": constraints}


def _leaf_of(
    kind: str, needed: dict[str, Any], optional: dict[str, Any] | None = None, prior: SearchStrategy[Any] | None = None
) -> SearchStrategy[dict[str, Any]]:
    more = {"prior": prior} if prior is not None else {}
    return st.fixed_dictionaries({"type": st.just(kind), **needed}, optional={**(optional or {}), **more})


_PRIOR = st.fixed_dictionaries(
    {"center": st.floats(1e-4, 0.1)}, optional={"confidence": st.sampled_from(("low", "high"))}
)
_WHEN = {"when": st.just({"dataset.batch_size": [16, 32]})}
_RIGHT = {
    "optimizer.lr": _leaf_of(
        "float", {"low": st.just(1e-5), "high": st.floats(0.1, 10)}, {"log": st.booleans()}, _PRIOR
    ),
    "optimizer.weight_decay": _leaf_of(
        "scipy", {"distribution": st.just("loguniform"), "a": st.just(1e-9), "b": st.just(0.1)}
    ),
    "dataset.batch_size": _leaf_of(
        "ordinal", {"choices": st.just([16, 32, 64])}, {"encoding": st.sampled_from(("equal", "nearest"))}
    ),
    "model.n_units_1": _leaf_of(
        "int", {"low": st.integers(1, 9), "high": st.integers(10, 99)}, {"log": st.booleans()} | _WHEN
    ),
    "model.dropout_1": _leaf_of("float", {"low": st.just(0), "high": st.floats(0.1, 0.9), "step": st.just(0.1)}, _WHEN),
}
"""Leaves that are right in their places."""
_NEARLY_RIGHT = st.builds(
    lambda right, wrong: right | wrong,
    st.fixed_dictionaries(
        {"optimizer.lr": _RIGHT["optimizer.lr"]}, optional={k: v for k, v in _RIGHT.items() if k != "optimizer.lr"}
    ),
    st.one_of(st.just({}), st.just({}), st.dictionaries(st.sampled_from(PATHS), LEAVES, max_size=1)),
)
SPACES = st.one_of(
    st.builds(
        tree_of,
        _NEARLY_RIGHT,
        st.sampled_from(
            (None, None, ["optimizer.lr < 1"], ["model.n_units_1 <= dataset.batch_size or optimizer.lr < 0.01"])
        ),
    ),
    st.builds(
        tree_of,
        st.dictionaries(st.sampled_from(PATHS), LEAVES, min_size=1, max_size=4),
        st.one_of(st.none(), st.lists(EXPRESSIONS, max_size=2), VALUES),
    ),
    VALUES,
)
