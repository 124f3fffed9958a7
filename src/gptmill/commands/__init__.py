"""Verbs of `gptmill`, a file for each job; `cli` adds them."""
