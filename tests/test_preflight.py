"""Values that could not work are found before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import FUNCTION, compose, run

pytest.importorskip("torch")

from hpo_pipeline import trust
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.preflight import check_study, check_training

QUIET = ("dataset=digits", "executor=serial", "tracker=none")


def problems(*overrides: str, program: str = "tune") -> list[str]:
    """What is wrong with a study, or a training, of small images."""
    check = check_study if program == "tune" else check_training
    quiet = QUIET if program == "tune" else [word for word in QUIET if not word.startswith("executor")]
    try:
        check(compose(*quiet, *overrides, program=program), data=False)
    except ConfigError as error:
        return error.lines
    return []


@pytest.mark.parametrize(
    ("overrides", "found"),
    [
        (["search_space.model.n_units_1=abc"], "search_space.model.n_units_1: abc: must be an integer of at least 1"),
        (["search_space.optimizer.lr=-1"], "search_space.optimizer.lr: -1: optimizer: torch.optim.Adam refuses"),
        (["search_space.dataset.batch_size=0"], "search_space.dataset.batch_size: 0: must be an integer of at least 1"),
        (["search_space.dataset.batch_size.low=0"], "search_space.dataset.batch_size: 0: must be an integer"),
        (["search_space.model.dropout_1.high=1.5"], "search_space.model.dropout_1: 1.5: must be a number in [0, 1)"),
        (
            ["+search_space.model.activation={type: choice, choices: [relu, tanhh]}"],
            "search_space.model.activation: tanhh: unknown name 'tanhh'; choose one of",
        ),
        (
            ["+search_space.objective.grad_clip={type: float, low: -1, high: 2}"],
            "search_space.objective.grad_clip: -1: must be a positive number or null",
        ),
        (
            ["search_space=mlp_optimizers", "search_space.optimizer.choices.sgd.momentum.low=-1"],
            "search_space.optimizer.momentum: -1: optimizer: torch.optim.SGD refuses",
        ),
    ],
)
def test_a_value_of_the_search_space_that_no_trial_can_have_is_reported_once(overrides, found):
    (line,) = problems(*overrides)
    assert line.startswith(found)


def test_every_wrong_choice_is_reported():
    lines = problems("+search_space.model.activation={type: choice, choices: [tanhh, relu, rellu]}")
    assert [line.split(": ")[1] for line in lines] == ["tanhh", "rellu"]


def test_what_is_wrong_without_the_search_space_is_not_reported_again_for_its_values():
    (line,) = problems("model.activation=tanhh")
    assert line.startswith("model.activation: ")


def test_only_the_samples_that_the_constraints_allow_are_looked_at():
    space = ("search_space.model.n_units_2.low=0",)
    assert problems(*space)
    assert not problems(*space, "+search_space.constraints=['model.n_units_2 >= 1']")


def test_a_parameter_is_looked_at_where_its_conditions_hold():
    width = "{type: int, low: 0, high: 9, when: {model.n_layers: 6}}"
    (line,) = problems("model=deep_mlp", "~search_space.model.n_units_6", f"+search_space.model.n_units_6={width}")
    assert line.startswith("search_space.model.n_units_6: 0: ")


def test_a_bound_that_only_the_bound_itself_breaks_is_no_problem():
    assert problems("search_space.model.dropout_1.high=1.0") == []


def test_an_objective_that_says_nothing_about_values_is_not_asked():
    assert problems(*FUNCTION, "metric=loss", "search_space.model.n_units_1=abc") == []


@pytest.mark.parametrize("program", ["tune", "train"])
def test_a_model_that_has_no_score_for_some_classes_starts_nothing(program):
    lines = problems("model=softmax", "model._target_=torch.nn.Flatten", program=program)
    assert lines == ["model: gives scores of shape (2, 64), (2, 10) are needed"]


def test_the_schedule_is_looked_at_up_to_the_last_epoch_of_the_training():
    one_cycle = "lr_schedule={_target_: torch.optim.lr_scheduler.OneCycleLR, max_lr: 1, total_steps: 9}"
    given = ("+" + one_cycle, "+lr_schedule.cycle_momentum=false", "max_resource=4")
    assert problems(*given, "resource=9", program="train") == []
    (line,) = problems(*given, "resource=11", program="train")
    assert line.startswith("lr_schedule: ")


def test_a_bound_of_a_schedules_length_is_looked_at():
    (line,) = problems("lr_schedule=cosine", "+search_space.lr_schedule.T_max={type: int, low: -3, high: 9}")
    assert line == "search_space.lr_schedule.T_max: -3: must be an integer of at least 1"


def test_everything_that_is_wrong_with_the_objective_is_listed_at_once():
    lines = problems("objective.device=gpu", "objective.grad_clip=-1")
    assert sorted(line.partition(":")[0] for line in lines) == ["objective.device", "objective.grad_clip"]


@pytest.mark.parametrize("schedule", ["none", "cosine"])
def test_a_wrong_root_key_is_not_reported_again_where_a_group_refers_to_it(schedule):
    assert problems("max_resource=0", f"lr_schedule={schedule}") == ["max_resource: must be at least 1, got 0"]


def test_a_groups_own_wrong_value_is_reported_beside_the_root_keys():
    lines = problems("max_resource=0", "scheduler.max_resource=-1")
    assert [line.partition(":")[0] for line in lines] == ["max_resource", "scheduler.max_resource"]


OWN = """
from hpo_pipeline.objective.function import Function
from hpo_pipeline.objective.training import Training

class Plain(Function):
    def __init__(self): super().__init__()

class Closed(Training):
    def __init__(self, device="cpu"): super().__init__(device)

class Open(Training):
    def __init__(self, **rest):
        super().__init__(**rest)
        self.got = rest

class Untested(Training):
    test = None

class NoUnit(Function):
    unit = property()

def broken(): raise RuntimeError("no luck\\ntoday")
"""


@pytest.fixture
def own(monkeypatch):
    """A person's own objectives, trusted."""
    Path("own_objectives.py").write_text(OWN)
    monkeypatch.syspath_prepend(Path.cwd())
    trust.trust(("own_objectives",))


def objective(name):
    return ("~objective", f"+objective={{_target_: own_objectives.{name}}}", "model=softmax")


@pytest.mark.parametrize(
    ("name", "typed", "found"),
    [
        ("Closed", "final=true", "final: own_objectives.Closed has no final training"),
        ("Untested", "final=true", "final: own_objectives.Untested has no final training"),
        ("Plain", "final=true", "final: own_objectives.Plain has no final training"),
        ("Closed", "threads=2", "threads: own_objectives.Closed takes no threads, got 2; leave them at 1"),
        ("Plain", "threads=2", "threads: own_objectives.Plain takes no threads, got 2; leave them at 1"),
        ("NoUnit", "seed=0", "objective._target_: own_objectives.NoUnit makes no objective: it has no unit"),
        ("broken", "seed=0", "objective: own_objectives.broken can't be made (RuntimeError: no luck today)"),
        ("Closed", "seed=0", None),
        ("Plain", "metric=validation_error", None),
        ("Open", "threads=2", None),
    ],
)
@pytest.mark.usefixtures("own")
def test_what_is_asked_for_and_nobody_takes_starts_nothing(name, typed, found):
    lines = problems(*objective(name), typed, program="train")
    assert (lines == []) if found is None else (len(lines) == 1 and lines[0].startswith(found))


@pytest.mark.usefixtures("own")
def test_threads_that_are_set_at_the_executor_are_asked_for_as_well():
    assert problems(*objective("Closed"), "executor.threads=1") == []
    (line,) = problems(*objective("Closed"), "executor.threads=3")
    assert line == "threads: own_objectives.Closed takes no threads, got 3; leave them at 1"


@pytest.mark.usefixtures("own")
def test_an_objective_that_takes_any_argument_gets_all_that_is_offered():
    made, _ = check_training(
        compose(*QUIET[::2], *objective("Open"), "final=true", "threads=2", program="train"), data=False
    )
    assert made.got == {"threads": 2, "final": True}
    assert made.final


ATTENTION = ("model=softmax", "model._target_=torch.nn.MultiheadAttention", "+model.embed_dim=3", "+model.num_heads=2")
POOL = "+executor={_target_: hpo_pipeline.executor.pool.Pool, pack: 1, transport: 1}"


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (["scheduler._target_=hpo_pipeline.scheduler.Scheduler"], "'hpo_pipeline.scheduler.Scheduler' is no scheduler"),
        (["scheduler._target_=hpo_pipeline.executor.process.ProcessExecutor"], "is no scheduler; it may be a class of"),
        (["+model._partial_=0.5"], "model._partial_: is no argument"),
        (["~executor", POOL], "executor: hpo_pipeline.executor.pool.Pool can't be made (AttributeError: "),
        (
            ATTENTION,
            "model: torch.nn.MultiheadAttention refuses these values "
            "(AssertionError: embed_dim must be divisible by num_heads)",
        ),
    ],
)
def test_a_node_that_makes_no_component_is_told_in_a_line(typed, found):
    ended = run(*QUIET, *typed)
    assert ended.code == 2, ended.err
    assert found in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("key", ["3", "true", "2.5"])
def test_a_key_that_is_no_name_is_told_in_a_line(key):
    Path("mine/model").mkdir(parents=True)
    Path("mine/model/net.yaml").write_text(f"_target_: hpo_pipeline.model.softmax.Softmax\n{key}: 4\n")
    ended = run("--config-dir", "mine", *QUIET, "model=net", "search_space=softmax")
    assert ended.code == 2, ended.err
    assert "the keys of a component are names of its arguments" in ended.err
    assert "Traceback" not in ended.err


def test_an_entry_of_the_environment_that_trusts_everything_starts_nothing(monkeypatch):
    monkeypatch.setenv("HPO_TRUST", "*")
    ended = run(*QUIET, "dry_run=true")
    assert (ended.code, ended.out) == (2, "")
    assert "HPO_TRUST: must be modules or names in them, each written out" in ended.err


def test_a_path_that_is_not_in_the_config_is_reported_with_all_else():
    lines = problems(
        "+search_space.optimizer.lrr={type: float, low: 0, high: 1}",
        "search_space.optimizer.weight_decay.low=-1",
        "search_space.optimizer.weight_decay.log=false",
        "search_space.model.n_units_1.low=0",
        "scheduler.eta=1",
    )
    assert [line.partition(":")[0] for line in lines] == [
        "search_space.optimizer.lrr",
        "search_space.optimizer.weight_decay",
        "search_space.model.n_units_1",
        "scheduler.eta",
    ]


def test_what_depends_on_a_path_that_is_not_there_is_left_out_of_the_look():
    width = "{type: int, low: 0, high: 9, when: {model.n_layerss: 6}}"
    lines = problems(
        "model=deep_mlp",
        "~search_space.model.n_units_6",
        f"+search_space.model.n_units_6={width}",
        "+search_space.model.n_layerss={type: choice, choices: [6]}",
    )
    assert [line.partition(":")[0] for line in lines] == ["search_space.model.n_layerss"]
