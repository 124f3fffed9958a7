"""Check the raw data; keep what is sound, put the rest into quarantine, and stop when a whole data set is not what is expected."""

from gptmill import files, paths
from gptmill.params import Params


def run(params: Params) -> None:
    from gptmill.data import corpus, expectations, instructions, measures, quality, spam, tables

    wanted = params.data.expectations
    messages, records = spam.read(paths.RAW_SPAM), instructions.read(paths.RAW_INSTRUCTIONS)
    documents = measures.measure(_corpus("validate: corpus"))
    texts = expectations.corpus(documents, wanted, params.model.context_length, params.split.corpus.validation)
    data_sets = [texts, expectations.messages(messages, wanted), expectations.records(records, wanted)]
    found = quality.examine(data_sets, paths.DATA_DOCS)
    quality.demand(found, paths.DATA_DOCS)

    with files.atomic(paths.CLEAN) as clean, files.atomic(paths.QUARANTINE) as quarantine:
        clean.mkdir()
        quarantine.mkdir()
        texts_found, *others_found = found
        for findings in others_found:
            tables.write(quarantine / f"{findings.name}.parquet", findings.quarantine)
        messages_kept, records_kept = (findings.kept for findings in others_found)
        reasons = dict(zip(texts_found.quarantine["row"], texts_found.quarantine["reasons"], strict=True))
        corpus.write(_corpus("clean: corpus"), reasons, clean / paths.CLEAN_CORPUS.name, quarantine / "corpus.parquet")
        tables.write(clean / paths.CLEAN_SPAM.name, messages_kept)
        files.write_jsonl(clean / paths.CLEAN_INSTRUCTIONS.name, records_kept.to_dict("records"))

    described = [
        ("corpus", paths.RAW_CORPUS, measures.describe(documents)),
        ("spam", paths.RAW_SPAM, spam.describe(messages)),
        ("instructions", paths.RAW_INSTRUCTIONS, instructions.describe(records)),
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


def _corpus(says: str):
    """The documents of the raw corpus in pieces, as often as they are asked for. `says`: what the progress bar says."""
    from gptmill.data import corpus

    return corpus.read(paths.RAW_CORPUS, says)
