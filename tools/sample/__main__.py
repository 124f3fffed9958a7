"""python -m tools.sample: writes the files that the package carries."""

from pathlib import Path

import zstandard

from gptmill.core import files
from gptmill.ingest import sample
from tools.sample import SEED, make_corpus, make_instructions, make_messages

TEXTS = {"corpus.txt": make_corpus, "messages.tsv": make_messages, "instructions.json": make_instructions}

for name, make in TEXTS.items():
    with files.atomic(Path(sample.__file__).with_name(f"{name}.zst")) as tmp:
        tmp.write_bytes(zstandard.compress(make(SEED).encode(), level=19))
