"""Divide the clean messages into train, validation and test."""

from gptmill import files, paths
from gptmill.params import Params


def run(params: Params) -> None:
    from gptmill.data import spam, splits, tables

    parts = spam.split(tables.read(paths.CLEAN_SPAM), params.split.spam, params.seed, params.data.spam.labels)
    with files.atomic(paths.SPAM_SPLITS) as folder:
        folder.mkdir()
        for split, part in parts.items():
            tables.write(folder / f"{split}.parquet", part)

    total = sum(len(part) for part in parts.values())
    label = params.data.spam.labels[-1]
    share = sum((part["label"] == label).sum() for part in parts.values()) / total
    print(f"spam: {total:,} messages -> {splits.summary(parts)} ({share:.1%} {label})")
