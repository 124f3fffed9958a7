"""download_base: GPT-2's weights and vocabulary for the base model; an empty folder when neither is used."""

import shutil

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.ingest import sources


def run(params: Params) -> None:
    downloads = {}
    if params.tokenizer.ranks == "gpt2":
        downloads[paths.BASE_VOCABULARY] = sources.GPT2_VOCABULARY
    if params.base.init != "scratch":
        downloads[paths.BASE_WEIGHTS] = sources.GPT2_WEIGHTS[params.base.init]
    with files.atomic(paths.RAW / "base") as folder:
        folder.mkdir()
        for path, source in downloads.items():
            shutil.copyfile(sources.fetch(source), folder / path.name)
    records = {
        path.name: sources.source_record(source.name, source.origin, source.licence, path)
        for path, source in downloads.items()
    }
    files.write_json(paths.source_record("base"), records)
    print(f"base: {', '.join(str(record['name']) for record in records.values()) or 'nothing to download'}")
