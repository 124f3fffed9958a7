"""validate: clean rows, quarantined rows, leakage between splits; an error when a data set fails its expectations."""

from collections import Counter

from gptmill.config.schema import Params
from gptmill.core import files, paths

MARKERS_SHOWN = 8


def run(params: Params) -> None:
    from gptmill.data import classification, corpus, instructions, leakage, tables, text_files
    from gptmill.data.validation import corpus_stats, expectations, quarantine
    from gptmill.text import prompts

    expected, labels, context_length = params.data.expectations, params.data.spam.labels, params.model.context_length
    raw = {name: paths.raw_file(name, getattr(params.data, name).file) for name in paths.DATA_SETS}
    messages = classification.read(raw["spam"], params.data.spam)
    records = instructions.read(raw["instructions"], params.data.instructions)
    markers = {name: Counter() for name in raw}
    pieces = corpus.read_raw(raw["corpus"], params.data.corpus, "validate: corpus")
    documents = corpus_stats.measure(pieces, markers["corpus"])
    text_files.count_markers(messages["text"].dropna(), markers["spam"])
    for field in instructions.FIELDS:
        text_files.count_markers(records[field].dropna(), markers["instructions"])
    data_sets = [
        expectations.corpus(documents, expected, context_length, params.split.corpus.validation),
        expectations.messages(messages, labels, expected),
        expectations.records(records, expected, context_length, prompts.TEMPLATES[params.instruct.prompt_style]),
    ]
    results = quarantine.validate(data_sets, paths.DATA_DOCS)
    quarantine.raise_for_failures(results, paths.DATA_DOCS)
    corpus_result, *row_results = results
    clean_messages, clean_records = (result.clean for result in row_results)

    # The splits that later stages will make, to measure leakage between them.
    spam_parts = classification.split(clean_messages, labels, params.split.spam, params.seed)
    record_parts = instructions.split(clean_records, params.split.instructions, params.seed)
    parts = {"train": spam_parts["train"], "validation": spam_parts["validation"], "test": spam_parts["natural"]}
    splits = {
        "spam": {name: part["text"] for name, part in parts.items()},
        "instructions": {name: instructions.questions(part) for name, part in record_parts.items()},
    }
    leaks = {name: leakage.measure(texts, expected.near_duplicate_similarity) for name, texts in splits.items()}
    for name, method in (("spam", params.split.spam.method), ("instructions", params.split.instructions.method)):
        if method == "groups":
            leakage.raise_for_leakage(leaks[name], name)

    with files.atomic(paths.CLEAN) as clean, files.atomic(paths.QUARANTINE) as bad_rows:
        clean.mkdir()
        bad_rows.mkdir()
        for result in row_results:
            tables.write(bad_rows / f"{result.name}.parquet", result.quarantine)
        bad = corpus_result.quarantine
        reasons = dict(zip(bad["document"], bad["reasons"], strict=True))
        pieces = corpus.read_raw(raw["corpus"], params.data.corpus, "clean: corpus")
        corpus.write(pieces, reasons, clean / paths.CLEAN_CORPUS.name, bad_rows / "corpus.parquet")
        tables.write(clean / paths.CLEAN_SPAM.name, clean_messages)
        files.write_jsonl(clean / paths.CLEAN_INSTRUCTIONS.name, clean_records.to_dict("records"))

    counts = {data_set.name: data_set.counts for data_set in data_sets} | {"corpus": corpus_stats.describe(documents)}
    report = {}
    for result in results:
        name = result.name
        leak = {"leakage": leaks[name].report()} if name in leaks else {}
        marked = {"markers": dict(markers[name].most_common())} if markers[name] else {}
        report[name] = {"sha256": files.digest(raw[name]), **counts[name], **leak, **marked, **result.report()}
    files.write_json(paths.VALIDATION, {**report, "success": True})
    for name, values in report.items():
        leaked = {f"leakage {kind}": pairs for kind, pairs in values.get("leakage", {}).items()}
        flat = values | values.get("classes", {}) | leaked
        print(f"{name}: {', '.join(f'{key} {value:,}' for key, value in flat.items() if type(value) is int)}")
    for name, found in markers.items():
        if found:
            _warn(name, found)
    print(f"Every expectation is met. Data Docs: {paths.DATA_DOCS / 'index.html'}")


def _warn(name: str, markers: Counter[str]) -> None:
    shown = ", ".join(f"{marker} {count:,} times" for marker, count in markers.most_common(MARKERS_SHOWN))
    more = f" and {len(markers) - MARKERS_SHOWN:,} more" if len(markers) > MARKERS_SHOWN else ""
    advice = "; where they should end a document, replace them with <|endoftext|>" if name == "corpus" else ""
    print(f"warning: {name} has names of special tokens, which are learnt as plain text: {shown}{more}{advice}")
