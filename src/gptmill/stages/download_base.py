"""download_base: the weights and the vocabulary that the base model begins with; an empty folder when both are made here."""

import shutil

from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.ingest import sources


def run(params: Params) -> None:
    wanted = {}
    if params.tokenizer.ranks == "gpt2":
        wanted[paths.BASE_VOCABULARY] = sources.GPT2_VOCABULARY
    if params.base.init != "scratch":
        wanted[paths.BASE_WEIGHTS] = sources.GPT2_WEIGHTS[params.base.init]
    with files.atomic(paths.RAW / "base") as folder:
        folder.mkdir()
        for path, source in wanted.items():
            shutil.copyfile(sources.fetch(source), folder / path.name)
    records = {
        path.name: sources.source_record(source.name, source.origin, source.licence, path)
        for path, source in wanted.items()
    }
    files.write_json(paths.source_record("base"), records)
    print(f"base: {', '.join(str(record['name']) for record in records.values()) or 'nothing to download'}")
