"""download: one data set as its source has it, and where it came from."""

import shutil
from pathlib import Path

from gptmill import files, paths
from gptmill.data import custom, fetching, sample, sources
from gptmill.errors import GptmillError
from gptmill.params import Params


def run(params: Params, name: str) -> None:
    """`name`: corpus, spam or instructions."""
    if name not in sources.BOOK:
        raise GptmillError(f"there is no data set {name}; there are {', '.join(sources.BOOK)}")
    wanted = custom.Wanted.of(name, params.data)
    path = paths.RAW / wanted.file
    if params.data.source == "book":
        source = sources.BOOK[name]
        with files.atomic(path) as beside:
            shutil.copyfile(sources.fetch(source), beside)
        record = sources.provenance(source.name, source.origin, source.licence, path)
    elif params.data.source == "custom" and wanted.urls:
        record = custom.bring(wanted, path, custom.known(paths.source_record(name)))
        print(f"{name}: SHA-256 of what was fetched is {record['fetched']['sha256']}")
    else:
        origin = _write_sample(params, name, path)
        record = sources.provenance(f"embedded sample: {name}", origin, "MIT", path)
    files.write_json(paths.source_record(name), record)
    mirrored = ", or its mirror in GPTMILL_MIRROR" if params.data.source != "sample" and fetching.mirror() else ""
    print(f"{name}: {record['bytes']:,} bytes from {record['origin']}{mirrored}")


def _write_sample(params: Params, name: str, path: Path) -> str:
    """Write the first part of the sample, of the size that the parameters ask for; returns what to call it as an origin."""
    takers = {
        "corpus": (sample.corpus, "corpus_characters", "characters"),
        "spam": (sample.messages, "messages", "messages"),
        "instructions": (sample.instructions, "instructions", "records"),
    }
    take, key, unit = takers[name]
    size = getattr(params.data.sample, key)
    files.write_text(path, take(size))
    return f"the sample in gptmill, the first {size:,} {unit}"
