"""Writes the embedded sample: a corpus, an inbox and an instruction set, made by code and seeded.

The same seed gives the same bytes, on every machine. All three come from one small world (`world.py`), so that what a model reads
while pretraining helps it with what it is fine-tuned on. Nothing is copied from anywhere; the texts are the project's own.

    python -m tools.sample        # writes src/gptmill/ingest/sample/*.zst again, after a change of the code here
"""

from tools.sample.messages import make_messages
from tools.sample.stories import SEPARATOR, make_corpus
from tools.sample.tasks import make_instructions

__all__ = ["SEED", "SEPARATOR", "make_corpus", "make_instructions", "make_messages"]

SEED = 123  # of the files that the package carries
