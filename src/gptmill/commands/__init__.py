"""Verbs of the command line, a file for each job; `cli` adds them."""
