"""Tunes: composes a study from conf/, runs it, and leaves everything in runs/<name>. See README.md."""

from hpo_pipeline.config import tune

if __name__ == "__main__":
    tune()
