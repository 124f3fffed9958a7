"""download: one data set, unchanged, and its source record."""

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
    spec = custom.SourceSpec.of(name, params.data)
    with files.atomic(paths.raw_folder(name)) as folder:
        folder.mkdir()
        record = _download(params, spec, folder / spec.file)
    files.write_json(paths.source_record(name), record)
    mirrored = ", or its mirror in GPTMILL_MIRROR" if params.data.source != "sample" and download.mirror() else ""
    print(f"{name}: {record['bytes']:,} bytes from {record['origin']}{mirrored}")


def _download(params: Params, spec: custom.SourceSpec, path: Path) -> dict[str, Any]:
    """Write the data set to `path`; returns its source record."""
    name = spec.name
    if params.data.source == "book":
        source = sources.BOOK[name]
        with files.atomic(path) as tmp:
            shutil.copyfile(sources.fetch(source), tmp)
        return sources.source_record(source.name, source.origin, source.licence, path)
    if params.data.source == "custom" and spec.urls:
        record = custom.fetch(spec, path, custom.read_source_record(paths.source_record(name)))
        print(f"{name}: SHA-256 of what was fetched is {record['fetched']['sha256']}")
        return record
    return sources.source_record(f"embedded sample: {name}", _write_sample(params, name, path), "MIT", path)


def _write_sample(params: Params, name: str, path: Path) -> str:
    """Write as much of the sample as the parameters say; returns its origin for the source record."""
    parts = {
        "corpus": (sample.corpus, "corpus_characters", "characters"),
        "spam": (sample.messages, "messages", "messages"),
        "instructions": (sample.instructions, "instructions", "records"),
    }
    read, key, unit = parts[name]
    size = getattr(params.data.sample, key)
    files.write_text(path, read(size))
    return f"the sample in gptmill, the first {size:,} {unit}"
