"""Tunes, with the options of conf/ beside those of hpo_pipeline: python tune.py experiment=ratings."""

from pathlib import Path

from hpo_pipeline.config import tune

if __name__ == "__main__":
    tune(config_dir=Path(__file__).parent / "conf", trust=["my_lab"])
