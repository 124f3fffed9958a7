"""`python -m gptmill` is `gptmill`."""

from gptmill.cli import main

main()
