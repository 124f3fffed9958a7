"""What is expected of the three data sets, in plain words and as stock expectations of Great Expectations (named, not imported).

A row that does not meet a row-level expectation goes to quarantine with the reason; a table that does not meet a table-level one stops the
graph. What is checked is computed as columns first. Table-level expectations may ask for `kept_x`: column x, null in quarantined rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gptmill.data import rawtext
from gptmill.data.instructions import FIELDS
from gptmill.params import ExpectationParams

LONGEST_TEXT = 20_000  # characters of a message or of a record's field; a document of the corpus may be as long as it likes


@dataclass(frozen=True)
class Rule:
    """One expectation: what it means, the name and arguments of the stock expectation, and what is allowed."""

    says: str
    check: str
    arguments: dict[str, Any]
    allowed: str
    reason: str | None = None  # what is written beside a quarantined row; None: the rule is about the table


@dataclass(frozen=True)
class DataSet:
    """A data set as its file was read, with columns computed for the checks, and what is expected of it."""

    name: str
    columns: list[str]  # those of the file, `row` first
    frame: pd.DataFrame
    rules: list[Rule]


def corpus(frame: pd.DataFrame, params: ExpectationParams) -> DataSet:
    columns, wanted = ["row", "text"], params.min_corpus_characters
    rules = [
        *_text_rules("text", "document", params, longest=None),
        Rule(
            f"the corpus has {wanted:,} characters or more",
            "ExpectColumnSumToBeBetween",
            {"column": "kept_text_characters", "min_value": wanted},
            f"at least {wanted:,}",
        ),
        *_common_rules(columns, "documents", params),
    ]
    return DataSet("corpus", columns, _measure(frame, ["text"]), rules)


def messages(frame: pd.DataFrame, params: ExpectationParams, labels: list[str]) -> DataSet:
    columns = ["row", "label", "text"]
    low, high = params.min_spam_share, params.max_spam_share
    one_of_them = f"every label is {', '.join(labels[:-1])} or {labels[-1]}"
    rules = [
        _row_rule("every message has a label", "ExpectColumnValuesToNotBeNull", {"column": "label"}, "label is missing", params),
        _row_rule(one_of_them, "ExpectColumnValuesToBeInSet", {"column": "label", "value_set": labels}, "label is unknown", params),
        *_text_rules("text", "message", params),
        _enough_rule("messages", params.min_messages),
        Rule(
            f"the labels are {', '.join(labels[:-1])} and {labels[-1]}, and {'both' if len(labels) == 2 else 'all'} are there",
            "ExpectColumnDistinctValuesToEqualSet",
            {"column": "kept_label", "value_set": labels},
            f"{', '.join(labels[:-1])} and {labels[-1]}",
        ),
        Rule(
            f"between {_percent(low)} and {_percent(high)} of the messages are {labels[-1]}",
            "ExpectColumnMeanToBeBetween",
            {"column": "kept_is_spam", "min_value": low, "max_value": high},
            f"{low} to {high}",
        ),
        *_common_rules(columns, "messages", params),
    ]
    measured = _measure(frame, ["text"]).assign(is_spam=(frame["label"] == labels[-1]).astype("float64"))
    return DataSet("spam", columns, measured, rules)


def records(frame: pd.DataFrame, params: ExpectationParams) -> DataSet:
    columns = ["row", *FIELDS]
    rules = [rule for field in FIELDS for rule in _text_rules(field, "record", params, may_be_empty=field == "input")]
    rules += [_enough_rule("records", params.min_records), *_common_rules(columns, "records", params)]
    return DataSet("instructions", columns, _measure(frame, FIELDS), rules)


def _row_rule(says: str, check: str, arguments: dict[str, Any], reason: str, params: ExpectationParams) -> Rule:
    share = params.max_quarantined_share
    return Rule(says, check, {**arguments, "mostly": 1 - share}, f"at most {_percent(share)} of the rows", reason)


def _text_rules(column: str, row: str, params: ExpectationParams, may_be_empty=False, longest: int | None = LONGEST_TEXT) -> list[Rule]:
    def rule(says: str, check: str, suffix: str, reason: str, **arguments: Any) -> Rule:
        return _row_rule(says, check, {"column": column + suffix, **arguments}, f"{column} {reason}", params)

    article = "an" if column[0] in "aeiou" else "a"
    rules = [rule(f"every {row} has {article} {column} that is a string", "ExpectColumnValuesToNotBeNull", "", "is missing or no string")]
    if not may_be_empty:
        rules.append(rule(f"no {column} is empty", "ExpectColumnValuesToBeBetween", "_visible_characters", "is empty", min_value=1))
    if longest:
        too_long = f"is longer than {longest:,} characters"
        rules.append(rule(f"no {column} {too_long}", "ExpectColumnValuesToBeBetween", "_characters", too_long, max_value=longest))
    control = "has control characters or undecodable ones"
    rules.append(rule(f"no {column} {control}", "ExpectColumnValuesToBeInSet", "_has_control_characters", control, value_set=[False]))
    return rules


def _percent(share: float) -> str:
    return f"{100 * share:g}%"


def _enough_rule(rows: str, wanted: int) -> Rule:
    arguments = {"column": "is_kept", "min_value": wanted}
    return Rule(f"{wanted:,} {rows} or more are kept", "ExpectColumnSumToBeBetween", arguments, f"at least {wanted:,}")


def _common_rules(columns: list[str], rows: str, params: ExpectationParams) -> list[Rule]:
    share = params.max_quarantined_share
    quarantined = {"column": "is_quarantined", "max_value": share}
    present = {"column_set": columns, "exact_match": False}
    return [
        Rule(f"at most {_percent(share)} of the {rows} are in quarantine", "ExpectColumnMeanToBeBetween", quarantined, f"at most {share}"),
        Rule(f"the columns {', '.join(columns)} are there", "ExpectTableColumnsToMatchSet", present, ", ".join(columns)),
    ]


def _measure(frame: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Adds for each text column: its characters, those but for outer white space, and whether there are control characters among them."""
    measured = frame.copy()
    for column in columns:
        texts = frame[column]
        measured[f"{column}_characters"] = texts.map(len, na_action="ignore").astype("float64")
        measured[f"{column}_visible_characters"] = texts.map(lambda text: len(text.strip()), na_action="ignore").astype("float64")
        measured[f"{column}_has_control_characters"] = [bool(rawtext.CONTROL_CHARACTERS.search(text)) for text in texts.fillna("")]
    return measured
