"""Search methods compared at equal budgets, beside their peers. `python -m benchmarks.search --help` says how.

methods.py     the table of methods: a line each
suites.py      what is run and shown together: taskset.py  synthetic.py  real.py  odd.py  single.py
landscape.py   made-up trainings with known optima, for `synthetic` and `odd`
task.py        something to be minimised, its budget, and the trace of regret that comes of a run
product.py     runs hpo_pipeline's searchers and schedulers on a simulated clock, without files
peers.py       runs Optuna's samplers and pruners on the same curves
runs.py        one run, in a process of its own
results.py     the CSV, from which a benchmark that was broken off goes on
statistics.py  ranks, critical differences, paired tests, intervals
table.py  picture.py
"""
