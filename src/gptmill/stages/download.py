"""download: one data set as its source has it, and where it came from."""

import shutil
from pathlib import Path
from typing import Any

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.ingest import custom, download, sample, sources


def run(params: Params, name: str) -> None:
    """`name`: corpus, spam or instructions."""
    if name not in sources.BOOK:
        raise GptmillError(f"there is no data set {name}; there are {', '.join(sources.BOOK)}")
    wanted = custom.SourceSpec.of(name, params.data)
    with files.atomic(paths.raw_folder(name)) as folder:
        folder.mkdir()
        record = _download(params, wanted, folder / wanted.file)
    files.write_json(paths.source_record(name), record)
    mirrored = ", or its mirror in GPTMILL_MIRROR" if params.data.source != "sample" and download.mirror() else ""
    print(f"{name}: {record['bytes']:,} bytes from {record['origin']}{mirrored}")


def _download(params: Params, wanted: custom.SourceSpec, path: Path) -> dict[str, Any]:
    """Write the data set to `path`; returns its source record."""
    name = wanted.name
    if params.data.source == "book":
        source = sources.BOOK[name]
        with files.atomic(path) as beside:
            shutil.copyfile(sources.fetch(source), beside)
        return sources.source_record(source.name, source.origin, source.licence, path)
    if params.data.source == "custom" and wanted.urls:
        record = custom.fetch(wanted, path, custom.read_source_record(paths.source_record(name)))
        print(f"{name}: SHA-256 of what was fetched is {record['fetched']['sha256']}")
        return record
    return sources.source_record(f"embedded sample: {name}", _write_sample(params, name, path), "MIT", path)


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
