"""What a study says beyond its best trial, finished or running: pure functions of its journal, for any report.

axes.py              hyperparameters as positions in [0, 1], with labels for people
standing.py          all trials in one order, best first, whatever resource each has come to
ped_anova.py         importance: what the best trials have in common (Watanabe et al. 2023)
permutation.py       importance: what a forest's predictions depend on (Breiman 2001)
rank_correlation.py  whether the order at one rung is that at the next
surface.py           how good trials are over two hyperparameters
job_log.py           when each job ran, on how many workers
anytime.py           how good a study was at any time

And of several studies:

methods.py           which are the same method with other seeds, and what to call it
comparable.py        whether they can be compared
comparison.py        medians, ranks and times to a target, method by method
ranks.py             average ranks, and how far apart they must be (Demšar 2006)
"""
