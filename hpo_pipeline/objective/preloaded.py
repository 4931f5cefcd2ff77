"""What torch would import in each worker, for seconds: the server that workers are forked from imports this last."""

import importlib
import sys

if "torch" in sys.modules:
    importlib.import_module("torch._dynamo")  # for the first optimizer that is made
