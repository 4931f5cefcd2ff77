"""Trials trained together as one program: a pack."""
