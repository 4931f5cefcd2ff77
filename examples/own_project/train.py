"""Trains once, a trial of a study again for example: tune.py prints the command."""

from pathlib import Path

from hpo_pipeline.config import train

if __name__ == "__main__":
    train(config_dir=Path(__file__).parent / "conf", trust=["my_lab"])
