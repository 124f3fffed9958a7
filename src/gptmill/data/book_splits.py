"""The book's own splits, for comparison, row for row as in its notebooks. They depend on the order, and may leak."""

import io
from collections.abc import Sequence

import pandas as pd

from gptmill.config.data import SharesParams
from gptmill.core.errors import GptmillError

USE_GROUPS = "Use split.spam.method: groups."


def messages(frame: pd.DataFrame, labels: Sequence[str], shares: SharesParams, seed: int) -> dict[str, pd.DataFrame]:
    """The book's balanced train, validation and test splits of messages (chapter 6.2), and a natural test split of our
    own.

    The notebook reads its file with pandas' quotes on: an open quote swallows the lines up to the next one, so that
    5,572 of 5,574 messages remain. It takes as many rows of the first class as the last one has, and shuffles with seed
    123, which is `seed` here. `natural` is the test split, filled up with unused rows to the class shares of the file.

    Raises `GptmillError` unless there are two classes, the first one larger, and no text has a line end.
    """
    if len(labels) != 2:
        raise GptmillError(f"split.spam.method book is for two classes; there are {len(labels)}. {USE_GROUPS}")
    odd = frame[frame["text"].str.contains(r"[\r\n]", regex=True)]
    if len(odd):
        raise GptmillError(
            f"split.spam.method book is for a file with one message per line; "
            f"row {odd['row'].iloc[0]} holds a line end. {USE_GROUPS}"
        )
    ordered = frame.sort_values("row")
    lines = "".join(f"{label}\t{text}\n" for label, text in zip(ordered["label"], ordered["text"], strict=True))
    # Texts such as "NA" stay texts: the notebook makes them NaN, in the same rows.
    options = {"sep": "\t", "header": None, "names": ["label", "text"], "keep_default_na": False, "dtype": str}
    read = pd.read_csv(io.StringIO(lines), **options)
    first, last = (read[read["label"] == label] for label in labels)
    if len(first) < len(last):
        raise GptmillError(
            f"split.spam.method book takes as many {labels[0]} as {labels[1]}, and there are fewer. {USE_GROUPS}"
        )
    drawn = first.sample(len(last), random_state=seed)
    balanced = pd.concat([drawn, last]).sample(frac=1, random_state=seed)
    train_end = int(len(balanced) * shares.train)
    validation_end = train_end + int(len(balanced) * shares.validation)
    parts = {
        "train": balanced[:train_end],
        "validation": balanced[train_end:validation_end],
        "test": balanced[validation_end:],
    }
    test = parts["test"]
    lasts = int((test["label"] == labels[1]).sum())
    more = max(0, round(lasts * len(first) / max(1, len(last))) - (len(test) - lasts))
    parts["natural"] = pd.concat([test, first.drop(drawn.index).sample(frac=1, random_state=seed)[:more]])
    return {name: part.reset_index(drop=True) for name, part in parts.items()}


def records(frame: pd.DataFrame, shares: SharesParams) -> dict[str, pd.DataFrame]:
    """The book's splits of records (chapter 7.2), in the order of the file: train, then test, then validation."""
    train_end = int(len(frame) * shares.train)
    # 1 - 0.85 - 0.05 is a little less than a tenth in floating point.
    test_end = train_end + int(len(frame) * round(1 - shares.train - shares.validation, 9))
    parts = {"train": frame[:train_end], "validation": frame[test_end:], "test": frame[train_end:test_end]}
    return {name: part.reset_index(drop=True) for name, part in parts.items()}
