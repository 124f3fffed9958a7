"""Check the raw data; keep what is sound, put the rest into quarantine, and stop when a whole data set is not what is expected."""

from collections import Counter

from gptmill.config.schema import Params
from gptmill.core import files, paths

MARKERS_SHOWN = 8


def run(params: Params) -> None:
    from gptmill.data import classification, corpus, instructions, leakage, tables, text_files
    from gptmill.data.validation import corpus_stats, expectations, quarantine
    from gptmill.text import prompts

    wanted, labels, context_length = params.data.expectations, params.data.spam.labels, params.model.context_length
    raw = {name: paths.raw_file(name, getattr(params.data, name).file) for name in paths.DATA_SETS}
    messages, records = (
        classification.read(raw["spam"], params.data.spam),
        instructions.read(raw["instructions"], params.data.instructions),
    )
    markers = {name: Counter() for name in raw}
    documents = corpus_stats.measure(
        corpus.read_raw(raw["corpus"], params.data.corpus, "validate: corpus"), markers["corpus"]
    )
    text_files.count_markers(messages["text"].dropna(), markers["spam"])
    for field in instructions.FIELDS:
        text_files.count_markers(records[field].dropna(), markers["instructions"])
    data_sets = [
        expectations.corpus(documents, wanted, context_length, params.split.corpus.validation),
        expectations.messages(messages, labels, wanted),
        expectations.records(records, wanted, context_length, prompts.TEMPLATES[params.instruct.prompt_style]),
    ]
    found = quarantine.validate(data_sets, paths.DATA_DOCS)
    quarantine.raise_for_failures(found, paths.DATA_DOCS)
    texts_found, *others_found = found
    messages_kept, records_kept = (findings.clean for findings in others_found)

    # The splits are made here as their stages will make them, to see whether anything stands on two sides.
    spam_parts = classification.split(messages_kept, labels, params.split.spam, params.seed)
    record_parts = instructions.split(records_kept, params.split.instructions, params.seed)
    sides = {
        "spam": {
            name: spam_parts[part]["text"]
            for name, part in (("train", "train"), ("validation", "validation"), ("test", "natural"))
        },
        "instructions": {name: instructions.questions(part) for name, part in record_parts.items()},
    }
    leaks = {name: leakage.measure(parts, wanted.near_duplicate_similarity) for name, parts in sides.items()}
    for name, method in (("spam", params.split.spam.method), ("instructions", params.split.instructions.method)):
        if method == "groups":
            leakage.raise_for_leakage(leaks[name], name)

    with files.atomic(paths.CLEAN) as clean, files.atomic(paths.QUARANTINE) as bad_rows:
        clean.mkdir()
        bad_rows.mkdir()
        for findings in others_found:
            tables.write(bad_rows / f"{findings.name}.parquet", findings.quarantine)
        reasons = dict(zip(texts_found.quarantine["document"], texts_found.quarantine["reasons"], strict=True))
        pieces = corpus.read_raw(raw["corpus"], params.data.corpus, "clean: corpus")
        corpus.write(pieces, reasons, clean / paths.CLEAN_CORPUS.name, bad_rows / "corpus.parquet")
        tables.write(clean / paths.CLEAN_SPAM.name, messages_kept)
        files.write_jsonl(clean / paths.CLEAN_INSTRUCTIONS.name, records_kept.to_dict("records"))

    counts = {data_set.name: data_set.counts for data_set in data_sets} | {"corpus": corpus_stats.describe(documents)}
    report = {}
    for findings in found:
        name = findings.name
        leak = {"leakage": leaks[name].report()} if name in leaks else {}
        marked = {"markers": dict(markers[name].most_common())} if markers[name] else {}
        report[name] = {"sha256": files.digest(raw[name]), **counts[name], **leak, **marked, **findings.report()}
    files.write_json(paths.VALIDATION, {**report, "success": True})
    for name, values in report.items():
        flat = (
            values
            | values.get("classes", {})
            | {f"leakage {kind}": pairs for kind, pairs in values.get("leakage", {}).items()}
        )
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
