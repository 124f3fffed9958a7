"""The one error that a person is meant to read: `gptmill` prints its text without a traceback and exits with 1."""


class GptmillError(Exception):
    """Something that the user can put right. The message says what is wrong and what to do next."""
