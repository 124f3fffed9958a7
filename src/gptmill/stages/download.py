"""download: one data set as its source has it, and where it came from."""

import shutil
from pathlib import Path

from gptmill import files, paths
from gptmill.data import sample, sources
from gptmill.params import Params

RAW = {"corpus": paths.RAW_CORPUS, "spam": paths.RAW_SPAM, "instructions": paths.RAW_INSTRUCTIONS}
BOOK = {"corpus": sources.CORPUS, "spam": sources.SPAM, "instructions": sources.INSTRUCTIONS}


def run(params: Params, name: str) -> None:
    """`name`: corpus, spam or instructions."""
    path = RAW[name]
    if params.data.source == "sample":
        origin = _write_sample(params, name, path)
        title, licence = f"embedded sample: {name}", "MIT"
    else:
        source = BOOK[name]
        with files.atomic(path) as beside:
            shutil.copyfile(sources.fetch(source), beside)
        origin, title, licence = source.origin, source.name, source.licence
    record = sources.provenance(title, origin, licence, path)
    files.write_json(path.parent / f"{name}.source.json", record)
    print(f"{name}: {record['bytes']:,} bytes from {origin}")


def _write_sample(params: Params, name: str, path: Path) -> str:
    """Make the sample; returns the call that made it, which is its origin."""
    makers = {
        "corpus": (sample.make_corpus, "corpus_characters"),
        "spam": (sample.make_messages, "messages"),
        "instructions": (sample.make_instructions, "instructions"),
    }
    make, key = makers[name]
    size = getattr(params.data.sample, key)
    files.write_text(path, make(params.seed, size))
    return f"gptmill.data.sample.{make.__name__}({params.seed}, {size})"
