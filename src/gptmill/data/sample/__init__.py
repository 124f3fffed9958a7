"""The embedded sample: a corpus, an inbox and an instruction set, written by code, seeded and offline.

The same seed gives the same bytes, on every machine. All three come from one small world (`world.py`), so that what a model reads
while pretraining helps it with what it is fine-tuned on. Nothing is copied from anywhere; the texts are the project's own.

    from gptmill.data.sample import make_corpus, make_instructions, make_messages
    print(make_corpus(seed=1, characters=2_000))
"""

from gptmill.data.sample.messages import make_messages
from gptmill.data.sample.stories import SEPARATOR, make_corpus
from gptmill.data.sample.tasks import make_instructions

__all__ = ["SEPARATOR", "make_corpus", "make_instructions", "make_messages"]
