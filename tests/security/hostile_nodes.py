"""Nodes that a stranger might write, each with the reason why it is refused."""

from __future__ import annotations

from typing import Any

NOT_TRUSTED = "is not on the trust list"
OF_NO_KIND = "it may be a class of torch.nn, a model builder of torchvision.models"
NO_MODULE = "is not a package"
PICKLED = "downloads weights and unpickles them"
NO_ARGUMENT = "is no argument"

NOWHERE: tuple[tuple[str, str], ...] = (
    # Python itself
    ("os.system", NOT_TRUSTED),
    ("posix.system", NOT_TRUSTED),
    ("os.popen", NOT_TRUSTED),
    ("os.remove", NOT_TRUSTED),
    ("subprocess.run", NOT_TRUSTED),
    ("subprocess.Popen", NOT_TRUSTED),
    ("builtins.eval", NOT_TRUSTED),
    ("builtins.exec", NOT_TRUSTED),
    ("builtins.__import__", NOT_TRUSTED),
    ("builtins.open", NOT_TRUSTED),
    ("importlib.import_module", NOT_TRUSTED),
    ("runpy.run_path", NOT_TRUSTED),
    ("pathlib.Path", NOT_TRUSTED),
    ("pathlib.Path.touch", NOT_TRUSTED),
    ("pathlib.Path.write_text", NOT_TRUSTED),
    ("shutil.rmtree", NOT_TRUSTED),
    ("pickle.load", NOT_TRUSTED),
    ("pickle.loads", NOT_TRUSTED),
    ("ctypes.CDLL", NOT_TRUSTED),
    ("webbrowser.open", NOT_TRUSTED),
    ("urllib.request.urlopen", NOT_TRUSTED),
    ("functools.partial", NOT_TRUSTED),
    ("operator.methodcaller", NOT_TRUSTED),
    ("logging.FileHandler", NOT_TRUSTED),
    # other libraries, and a module beside the config
    ("numpy.load", NOT_TRUSTED),
    ("numpy.save", NOT_TRUSTED),
    ("joblib.load", NOT_TRUSTED),
    ("yaml.unsafe_load", NOT_TRUSTED),
    ("hydra.utils.call", NOT_TRUSTED),
    ("hydra.utils.instantiate", NOT_TRUSTED),
    ("mlflow.pyfunc.load_model", NOT_TRUSTED),
    ("trap.Net", NOT_TRUSTED),
    ("conftest.trap", NOT_TRUSTED),
    ("__main__.run", NOT_TRUSTED),
    # torch's own ways to run something
    ("torch.load", OF_NO_KIND),
    ("torch.save", OF_NO_KIND),
    ("torch.hub.load", OF_NO_KIND),
    ("torch.hub.load_state_dict_from_url", OF_NO_KIND),
    ("torch.hub.download_url_to_file", OF_NO_KIND),
    ("torch.jit.load", OF_NO_KIND),
    ("torch.serialization.load", OF_NO_KIND),
    ("torch.package.PackageImporter", OF_NO_KIND),
    ("torch.utils.cpp_extension.load", OF_NO_KIND),
    ("torch.utils.cpp_extension.load_inline", OF_NO_KIND),
    ("torch.ops.load_library", OF_NO_KIND),
    ("torch.classes.load_library", OF_NO_KIND),
    ("torch.distributed.init_process_group", OF_NO_KIND),
    ("torch.multiprocessing.spawn", OF_NO_KIND),
    ("torch.compile", OF_NO_KIND),
    ("torch.export.load", OF_NO_KIND),
    ("torch.utils.model_zoo.load_url", OF_NO_KIND),
    ("torchvision.datasets.utils.download_url", OF_NO_KIND),
    ("torchvision.datasets.FakeData", OF_NO_KIND),
    ("torchvision.io.write_file", OF_NO_KIND),
    # what merely lives in the packages of what may be named
    ("torch.nn.Module", OF_NO_KIND),
    ("torch.nn.Parameter", OF_NO_KIND),
    ("torch.nn.Buffer", OF_NO_KIND),
    ("torch.nn.DataParallel", OF_NO_KIND),
    ("torch.nn.parallel.DistributedDataParallel", OF_NO_KIND),
    ("torch.nn.factory_kwargs", OF_NO_KIND),
    ("torch.nn.functional.relu", OF_NO_KIND),
    ("torch.nn.init.normal_", OF_NO_KIND),
    ("torch.nn.utils.clip_grad_norm_", OF_NO_KIND),
    ("torch.nn.utils.parametrize.register_parametrization", OF_NO_KIND),
    ("torch.nn.utils.parametrizations.weight_norm", OF_NO_KIND),
    ("torch.nn.modules.linear.Linear", OF_NO_KIND),
    ("torch.nn.modules.module.register_module_forward_hook", OF_NO_KIND),
    ("torch.optim.Optimizer", OF_NO_KIND),
    ("torch.optim.swa_utils.AveragedModel", OF_NO_KIND),
    ("torch.optim.lr_scheduler.LRScheduler", OF_NO_KIND),
    ("torchvision.models.ResNet", OF_NO_KIND),
    ("torchvision.models.ResNet18_Weights", OF_NO_KIND),
    ("torchvision.models.get_model", OF_NO_KIND),
    ("torchvision.models.get_weight", OF_NO_KIND),
    ("torchvision.models.list_models", OF_NO_KIND),
    ("torchvision.models.segmentation.fcn_resnet50", OF_NO_KIND),
    ("torchvision.models.detection.fasterrcnn_resnet50_fpn", OF_NO_KIND),
    ("torchvision.models.quantization.resnet18", OF_NO_KIND),
    ("torchvision.transforms.v2.Transform", OF_NO_KIND),
    ("torchvision.transforms.v2.functional.resize", OF_NO_KIND),
    # methods, members and what modules have imported
    ("torch.nn.Module.load_state_dict", OF_NO_KIND),
    ("torch.nn.Module.__init__.__globals__", OF_NO_KIND),
    ("torch.nn.Linear.__init__.__builtins__.eval", OF_NO_KIND),
    ("torch.nn.Embedding.from_pretrained", OF_NO_KIND),
    ("torch.nn.functional.importlib.import_module", OF_NO_KIND),
    ("torch.nn.torch.load", OF_NO_KIND),
    ("torch.nn.__loader__", OF_NO_KIND),
    ("torch.nn.__builtins__.eval", OF_NO_KIND),
    ("torch.optim.lr_scheduler.Counter", OF_NO_KIND),
    ("torch.optim.lr_scheduler.Tensor", OF_NO_KIND),
    ("torchvision.models.ResNet18_Weights.DEFAULT", OF_NO_KIND),
    ("torchvision.models.ResNet18_Weights.get_state_dict", OF_NO_KIND),
    ("torchvision.models.resnet.load_state_dict_from_url", OF_NO_KIND),
    ("hpo_pipeline.model.mlp.os.system", NO_MODULE),
    ("hpo_pipeline.model.mlp.ACTIVATIONS", "is not a class or a function"),
    ("hpo_pipeline.model.mlp.problems", OF_NO_KIND),
    ("hpo_pipeline.model.mlp.nn", "is not a class or a function"),
    ("hpo_pipeline.model.mlp.__builtins__", OF_NO_KIND),
    ("hpo_pipeline.model.mlp.MLP.forward", NO_MODULE),
    ("hpo_pipeline.model.mlp.MLP.__init__", OF_NO_KIND),
    ("hpo_pipeline.model.mlp.ConfigError", OF_NO_KIND),
    # helpers of our own
    ("hpo_pipeline.build.build", OF_NO_KIND),
    ("hpo_pipeline.build.importlib.import_module", OF_NO_KIND),
    ("hpo_pipeline.trust.trust", OF_NO_KIND),
    ("hpo_pipeline.config.tune", OF_NO_KIND),
    ("hpo_pipeline.journal.Journal", OF_NO_KIND),
    ("hpo_pipeline.tuner.Tuner", OF_NO_KIND),
    ("hpo_pipeline.study.write_configs", OF_NO_KIND),
    ("hpo_pipeline.report.files.write", OF_NO_KIND),
    ("hpo_pipeline.objective.checkpoint.write", OF_NO_KIND),
    ("hpo_pipeline.objective.checkpoint.read", OF_NO_KIND),
    ("hpo_pipeline.objective.checkpoint.os.system", OF_NO_KIND),
    ("hpo_pipeline.objective.training.TrainingState", OF_NO_KIND),
    ("hpo_pipeline.objective.schedule.Schedule", OF_NO_KIND),
    ("hpo_pipeline.objective.schedule._Rates", OF_NO_KIND),
    ("hpo_pipeline.objective.function.os.remove", OF_NO_KIND),
    ("hpo_pipeline.executor.runner.discard_checkpoints", OF_NO_KIND),
    ("hpo_pipeline.executor.runner._adopt_checkpoint", OF_NO_KIND),
    ("hpo_pipeline.executor.worker.work", OF_NO_KIND),
    ("hpo_pipeline.executor.pack.Pack", OF_NO_KIND),
    ("hpo_pipeline.tracker.mlflow.store.MLflowStore", OF_NO_KIND),
    ("hpo_pipeline.searcher.trial_generator.TrialGenerator", OF_NO_KIND),
    ("hpo_pipeline.scheduler.rungs.Rung", OF_NO_KIND),
    ("hpo_pipeline.scheduler.Scheduler", OF_NO_KIND),
    ("hpo_pipeline.dataset.idx.read_idx", OF_NO_KIND),
    # no name at all
    ("", NOT_TRUSTED),
    (".", NOT_TRUSTED),
    ("torch", OF_NO_KIND),
    ("eval", NOT_TRUSTED),
    ("..os.system", NOT_TRUSTED),
    (".torch.nn.Linear", NOT_TRUSTED),
    ("torch.nn.Linear.", OF_NO_KIND),
    ("torch.nn..Linear", OF_NO_KIND),
    ("torch.nn. Linear", OF_NO_KIND),
    (" torch.nn.Linear", NOT_TRUSTED),
    ("torch.nn.Linear\n", OF_NO_KIND),
    ("torch.nn:Linear", OF_NO_KIND),
    ("torch/nn/Linear", NOT_TRUSTED),
    ("tоrch.nn.Linear", r"t\u043erch"),  # a Cyrillic o
    ("torch.nn.Lіnear", r"L\u0456near"),  # a Ukrainian i
    ("hpo_pipeline.model.mlр.MLP", r"ml\u0440"),  # a Cyrillic r
    ("ｏｓ.system", r"\uff4f\uff53"),  # wide letters, which Python's own parser takes for os
    ("torch.nn." + "x" * 10**6, "..."),
    ("a." * 10**5 + "f", "..."),
)
"""Target -> reason why it is refused where a part of a model would be."""


def nested(depth: int) -> dict[str, Any]:
    node: dict[str, Any] = {"_target_": "os.system", "command": "touch canary"}
    for _ in range(depth):
        node = {"_target_": "torch.nn.Identity", "x": node}
    return node


def listed(depth: int) -> dict[str, Any]:
    value: Any = {"_target_": "os.system", "command": "touch canary"}
    for _ in range(depth):
        value = [value]
    return {"_target_": "torch.nn.Identity", "x": value}


LINEAR = {"_target_": "torch.nn.Linear", "in_features": 1, "out_features": 1}
TOUCH = {"_target_": "pathlib.Path.touch", "self": "canary"}
IDENTITY = {"_target_": "torch.nn.Identity"}
RESNET = {"_target_": "torchvision.models.resnet18"}
SERIAL = {"_target_": "hpo_pipeline.executor.serial.SerialExecutor"}

NODES: tuple[tuple[str, Any, str], ...] = (
    # a component in another's place
    ("scheduler", SERIAL, "'hpo_pipeline.executor.serial.SerialExecutor' is no scheduler"),
    ("executor", {"_target_": "hpo_pipeline.scheduler.asha.ASHA"}, "is no executor"),
    ("searcher", {"_target_": "hpo_pipeline.scheduler.fifo.FIFO"}, "is no searcher"),
    ("tracker", {"_target_": "hpo_pipeline.dataset.digits.Digits"}, "is no tracker"),
    (
        "tracker",
        {"_target_": "hpo_pipeline.tracker.mlflow.store.MLflowStore", "uri": "sqlite:///canary"},
        "is no tracker",
    ),
    ("dataset", {"_target_": "hpo_pipeline.model.mlp.MLP"}, "is no dataset"),
    ("objective", {"_target_": "hpo_pipeline.objective.schedule.WarmupCosineLR", "T_max": 3}, "is no objective"),
    ("model", {"_target_": "torch.optim.SGD"}, "is no model"),
    ("model", {"_target_": "torchvision.transforms.v2.Identity"}, "is no model"),
    ("model", {"_target_": "hpo_pipeline.executor.pool.Pool"}, "is no model"),
    ("optimizer", LINEAR, "is no optimizer"),
    ("lr_schedule", {"_target_": "torch.optim.SGD"}, "is no lr_schedule"),
    ("loss", LINEAR, "is no loss"),
    ("loss", {"_target_": "torch.nn.modules.loss._Loss"}, "is no loss"),
    ("loss", {"_target_": "torch.nn.functional.cross_entropy"}, "is no loss"),
    ("metrics", {"_target_": "torchmetrics.text.BERTScore"}, "is no metrics"),
    ("metrics", {"_target_": "torchmetrics.image.FrechetInceptionDistance"}, "is no metrics"),
    ("metrics", {"_target_": "torchmetrics.Metric"}, "is no metrics"),
    ("metrics", {"_target_": "torch.nn.MSELoss"}, "is no metrics"),
    ("function", {"_target_": "hpo_pipeline.objective.function.Function"}, "is no function"),
    ("function", {"_target_": "hpo_pipeline.objective.function.os.remove"}, "is no function"),
    # the interfaces themselves
    ("scheduler", {"_target_": "hpo_pipeline.scheduler.Scheduler"}, "is no scheduler"),
    ("executor", {"_target_": "hpo_pipeline.executor.Executor"}, "is no executor"),
    ("tracker", {"_target_": "hpo_pipeline.tracker.Tracker"}, "is no tracker"),
    ("objective", {"_target_": "hpo_pipeline.objective.packed.stack.Stack"}, "is an interface"),
    # weights that would be unpickled
    ("model", {**RESNET, "weights": "DEFAULT"}, PICKLED),
    ("model", {**RESNET, "weights": "IMAGENET1K_V1"}, PICKLED),
    ("model", {**RESNET, "weights": ""}, PICKLED),
    ("model", {**RESNET, "weights": {"url": "file:///evil.pkl"}}, PICKLED),
    ("model", {**RESNET, "pretrained": True}, PICKLED),
    ("model", {**RESNET, "weights_backbone": "DEFAULT"}, PICKLED),
    ("model", {**RESNET, "norm_layer": TOUCH}, "model.norm_layer._target_: 'pathlib.Path.touch'"),
    # arguments by other ways than by name
    ("model", {**LINEAR, "_args_": [1, 2]}, NO_ARGUMENT),
    ("model", {**LINEAR, "_partial_": True}, NO_ARGUMENT),
    ("model", {**LINEAR, "_partial_": 0.5}, NO_ARGUMENT),
    ("model", {**LINEAR, "_recursive_": False}, NO_ARGUMENT),
    ("model", {**LINEAR, "_convert_": "all"}, NO_ARGUMENT),
    ("model", {**LINEAR, "__class__": "os.system"}, NO_ARGUMENT),
    ("model", {**IDENTITY, "self": "x"}, NO_ARGUMENT),
    ("model", {"_target_": "torch.nn.Embedding", "num_embeddings": 1, "embedding_dim": 1, "_weight": 1}, NO_ARGUMENT),
    ("model", {**LINEAR, 1: 2}, "model.1: the keys of a component are names of its arguments"),
    ("model", {**LINEAR, True: 2}, "model.True: the keys of a component"),
    ("model", {**LINEAR, None: 2}, "model.None: the keys of a component"),
    ("model", {**LINEAR, (1, "a\nb"): 2}, "the keys of a component"),
    ("model", {**LINEAR, "": 1}, NO_ARGUMENT),
    ("model", {**LINEAR, "a.b": 1}, NO_ARGUMENT),
    ("model", {**LINEAR, "bias\n\x1b[2Jall is well": 1}, r"model.bias\n\x1b[2Jall is well: is no argument"),
    ("model", {**IDENTITY, "x": {"\x1b[2J": TOUCH}}, r"model.x.\x1b[2J._target_: "),
    ("model", {**LINEAR, "k" * 10**6: 1}, "takes no"),
    ("optimizer", {"_target_": "torch.optim.SGD", "params": [1]}, "is not for a config to set"),
    ("executor", {**SERIAL, "setup": {"folder": "/"}}, "is not for a config to set"),
    ("scheduler", {"_target_": "hpo_pipeline.scheduler.fifo.FIFO", "max_resource": 1, "trials": []}, "is not for a"),
    # a target that is none
    ("model", {"_target_": None}, "must be a dotted path, got None"),
    ("model", {"_target_": 7}, "must be a dotted path, got 7"),
    ("model", {"_target_": ["os.system"]}, "must be a dotted path"),
    ("model", {"_target_": {"_target_": "os.system"}}, "must be a dotted path"),
    ("model", listed(10_000)["x"], "must be a mapping with a _target_"),
    ("model", {"_target_": b"os.system"}, "must be a dotted path"),
    # training code of one's own
    ("objective", {"_target_": "hpo_pipeline.objective.reporting.Reporting"}, "is an interface"),
    ("objective", {"_target_": "hpo_pipeline.objective.reporting.Trial"}, "is no objective"),
    ("objective", {"_target_": "hpo_pipeline.objective.handover.Handover"}, "is no objective"),
    ("lightning_module", LINEAR, "is no lightning_module"),
    ("lightning_module", {"_target_": "lightning.pytorch.LightningModule"}, NOT_TRUSTED),
    ("lightning_module", {"_target_": "lightning.pytorch.demos.boring_classes.BoringModel"}, NOT_TRUSTED),
    ("lightning_module", {"_target_": "hpo_pipeline.objective.lightning_mlp.DeepMLP"}, "is no lightning_module"),
    ("lightning_module", {"_target_": "hpo_pipeline.objective.lightning_mlp.torch"}, "is not a class or a function"),
    ("lightning_data", {"_target_": "hpo_pipeline.dataset.digits.Digits"}, "is no lightning_data"),
    ("lightning_data", {"_target_": "hpo_pipeline.objective.lightning_data.DatasetModule"}, "is no lightning_data"),
    ("train_function", {"_target_": "hpo_pipeline.objective.function.learning_curve"}, "is no train_function"),
    ("function", {"_target_": "hpo_pipeline.objective.functions.generator"}, "is no function"),
    # hidden within arguments
    ("model", {**IDENTITY, "x": TOUCH}, "model.x._target_: "),
    ("model", {**IDENTITY, "x": [0, TOUCH]}, "model.x[1]._target_: "),
    ("model", {**IDENTITY, "x": {"a": [{"b": TOUCH}]}}, "model.x.a[0].b._target_: "),
    ("model", {**IDENTITY, "x": {**IDENTITY, "y": TOUCH}}, "model.x.y._target_: "),
    ("model", {**IDENTITY, "x": {3: {**IDENTITY, "y": TOUCH}}}, "model.x.3.y._target_: "),
    ("model", {**IDENTITY, "x": {**SERIAL, "setup": {}}}, "model.x._target_: "),
    ("tracker", {"_target_": "hpo_pipeline.tracker.mlflow.MLflowTracker", "uri": TOUCH}, "tracker.uri._target_: "),
    ("dataset", {"_target_": "hpo_pipeline.dataset.digits.Digits", "split_seed": TOUCH}, "dataset.split_seed._target_"),
    ("model", nested(10_000), "is nested too deeply"),
    ("model", listed(10_000), "is nested too deeply"),
)
"""Kind, node, reason why it is refused there."""
