"""Verbs of `gptmill`, a file for each job; `cli.py` adds them."""
