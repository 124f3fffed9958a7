"""Check the raw data; keep what is sound, put the rest into quarantine, and stop when a whole data set is not what is expected."""

from gptmill import files, paths
from gptmill.params import Params


def run(params: Params) -> None:
    from gptmill.data import corpus, expectations, instructions, quality, spam, tables

    data, wanted = params.data, params.data.expectations
    raw = [paths.RAW / file for file in (data.corpus.file, data.spam.file, data.instructions.file)]
    texts, messages = corpus.read_raw(raw[0], data.corpus), spam.read(raw[1], data.spam)
    records = instructions.read(raw[2], data.instructions)
    data_sets = [
        expectations.corpus(texts, wanted),
        expectations.messages(messages, wanted, data.spam.labels),
        expectations.records(records, wanted),
    ]
    found = quality.examine(data_sets, paths.DATA_DOCS)
    quality.demand(found, paths.DATA_DOCS)

    with files.atomic(paths.CLEAN) as clean, files.atomic(paths.QUARANTINE) as quarantine:
        clean.mkdir()
        quarantine.mkdir()
        for findings in found:
            tables.write(quarantine / f"{findings.name}.parquet", findings.quarantine)
        texts_kept, messages_kept, records_kept = (findings.kept for findings in found)
        files.write_text(clean / paths.CLEAN_CORPUS.name, corpus.join(texts_kept["text"]))
        tables.write(clean / paths.CLEAN_SPAM.name, messages_kept)
        files.write_jsonl(clean / paths.CLEAN_INSTRUCTIONS.name, records_kept.to_dict("records"))

    described = [
        ("corpus", raw[0], corpus.describe(texts)),
        ("spam", raw[1], spam.describe(messages, data.spam.labels)),
        ("instructions", raw[2], instructions.describe(records)),
    ]
    report = {
        name: {"sha256": files.digest(path), **counts, **findings.report()}
        for (name, path, counts), findings in zip(described, found, strict=True)
    }
    files.write_json(paths.VALIDATION, {**report, "success": True})
    for name, values in report.items():
        counts = {key: value for key, value in values.items() if type(value) is int}
        print(f"{name}: {', '.join(f'{key} {value:,}' for key, value in counts.items())}")
    print(f"Every expectation is met. Data Docs: {paths.DATA_DOCS / 'index.html'}")
