"""Search methods compared at equal budgets, beside their peers. `python -m benchmarks.search --help` says how.

task.py        what a run is: a task, its budget, and the trace of regret that comes of it
methods.py     the table of methods
product.py     runs hpo_pipeline's searchers and schedulers on a simulated clock, without files
peers.py       runs Optuna's samplers and pruners on the same curves
taskset.py  real.py  synthetic.py  odd.py  single.py     the suites, one a file
landscape.py   made-up losses with known optima, for `synthetic` and `odd`
results.py     the CSV, which runs go on from
statistics.py  ranks, critical differences, paired tests
table.py  picture.py                                     what people look at
"""
