"""Trains once: the default configuration, or any trial of a study again to the same numbers. See README.md."""

from hpo_pipeline.config import train

if __name__ == "__main__":
    train()
