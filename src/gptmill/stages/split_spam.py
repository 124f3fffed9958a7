"""split_spam: clean messages as train, validation and test, and the test split before balancing (`natural`)."""

from gptmill.config.schema import Params
from gptmill.core import files, paths


def run(params: Params) -> None:
    from gptmill.data import classification, splits, tables

    labels = params.data.spam.labels
    parts = classification.split(tables.read(paths.CLEAN_SPAM), labels, params.split.spam, params.seed)
    with files.atomic(paths.SPAM_SPLITS) as folder:
        folder.mkdir()
        for split, part in parts.items():
            tables.write(folder / f"{split}.parquet", part)

    natural = parts.pop("natural")
    total = sum(len(part) for part in parts.values())
    shares = ", ".join(
        f"{sum((part['label'] == label).sum() for part in parts.values()) / total:.1%} {label}" for label in labels
    )
    print(f"spam: {total:,} messages -> {splits.summary(parts)} ({shares}); natural test {len(natural):,}")
