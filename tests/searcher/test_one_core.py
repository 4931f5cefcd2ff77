"""A suggestion's linear algebra has one thread, and what is beside it keeps its own."""

import scipy.linalg  # noqa: F401  # has a library of its own
from heard import evaluated, started
from threadpoolctl import ThreadpoolController

from hpo_pipeline.searcher.learning import LearningSearcher
from hpo_pipeline.space import SearchSpace

LINE = SearchSpace.parse({"x": {"type": "float", "low": 0.0, "high": 1.0}})
LIBRARIES = ThreadpoolController()


def threads():
    return {
        library["filepath"]: library["num_threads"] for library in LIBRARIES.info() if library["user_api"] == "blas"
    }


class Noting(LearningSearcher):
    def _ranked(self, rng, first_rung):
        self.threads = threads()
        return


def test_models_are_asked_with_one_thread_and_the_limit_ends_with_the_answer():
    searcher = Noting(LINE, 0, n_startup=1, uniform=0.0)
    started(searcher, 0, {"x": 0.5})
    evaluated(searcher, 0, {"x": 0.5}, 1, 0.5)
    with LIBRARIES.limit(limits=2, user_api="blas"):
        before = threads()
        assert set(before.values()) == {2}
        searcher.suggest(1)
        assert threads() == before
    assert set(searcher.threads.values()) == {1}
