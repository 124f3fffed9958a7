"""Divide the clean messages into train, validation and test."""

from gptmill import files, paths
from gptmill.params import Params


def run(params: Params) -> None:
    from gptmill.data import spam, splits, tables

    parts = spam.split(tables.read(paths.CLEAN_SPAM), params.split.spam, params.seed)
    with files.atomic(paths.SPAM_SPLITS) as folder:
        folder.mkdir()
        for split, part in parts.items():
            tables.write(folder / f"{split}.parquet", part)

    total = sum(len(part) for part in parts.values())
    share = sum((part["label"] == "spam").sum() for part in parts.values()) / total
    print(f"spam: {total:,} messages -> {splits.summary(parts)} ({share:.1%} spam)")
