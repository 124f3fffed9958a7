"""What is expected of the three data sets, in plain words and as stock expectations of Great Expectations (named, not imported).

A row that does not meet a row-level expectation goes to quarantine with the reason; a table that does not meet a table-level one stops the
graph. What is checked is computed as columns first. Table-level expectations may ask for `kept_x`: column x, null in quarantined rows.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from gptmill.config.data import ExpectationParams
from gptmill.data import duplicates, instructions, text_files
from gptmill.data.instructions import FIELDS
from gptmill.text import prompts
from gptmill.text.tokenizer import count_pieces


@dataclass(frozen=True)
class Rule:
    """One expectation: what it means, the name and arguments of the stock expectation, and what is allowed."""

    says: str
    check: str
    arguments: dict[str, Any]
    allowed: str
    reason: str | None = None  # what is written beside a quarantined row; None: the rule is about the table
    details: str | None = None  # the column that says more about a row, after its reason


@dataclass(frozen=True)
class DataSet:
    """A data set as its file was read, with columns computed for the checks, and what is expected of it."""

    name: str
    columns: list[str]  # those that name a row, and those of the file
    frame: pd.DataFrame
    rules: list[Rule]
    kept_columns: tuple[str, ...] = ()  # computed ones that go with the rows that are kept
    counts: dict[str, Any] = field(default_factory=dict)  # of the rows as read


def corpus(frame: pd.DataFrame, params: ExpectationParams, context_length: int, validation_share: float) -> DataSet:
    """`frame`: what `measures.measure` made of the corpus."""
    wanted, unbroken, repeated = (
        params.min_corpus_characters,
        params.max_unbroken_characters,
        params.max_repeated_line_share,
    )
    # There are no more tokens than bytes, so that this much is needed, whatever the tokenizer. The tokenize stage counts exactly.
    window = math.ceil((context_length + 1) / min(validation_share, 1 - validation_share))

    def rule(says: str, check: str, column: str, reason: str, **arguments: Any) -> Rule:
        return _row_rule(says, check, {"column": f"text_{column}", **arguments}, f"text {reason}", params)

    between, control = "ExpectColumnValuesToBeBetween", "has control characters or undecodable ones"
    too_long = f"has more than {unbroken:,} characters without white space"
    rules = [
        rule(
            "every document has a text that is a string",
            "ExpectColumnValuesToNotBeNull",
            "characters",
            "is missing or no string",
        ),
        rule("no text is empty", between, "visible_characters", "is empty", min_value=1),
        rule(f"no text {control}", between, "control_characters", control, max_value=0),
        rule(f"no text {too_long}", between, "unbroken_characters", too_long, max_value=unbroken),
        Rule(
            f"the corpus has {wanted:,} characters or more",
            "ExpectColumnSumToBeBetween",
            {"column": "kept_text_characters", "min_value": wanted},
            f"at least {wanted:,}",
        ),
        Rule(
            f"the corpus has {window:,} bytes or more, for a window of {context_length:,} tokens in both of its splits",
            "ExpectColumnSumToBeBetween",
            {"column": "kept_text_bytes", "min_value": window},
            f"at least {window:,}",
        ),
        Rule(
            f"at most {_percent(repeated)} of the lines stood before",
            "ExpectColumnSumToBeBetween",
            {"column": "repeated_line_share", "max_value": repeated},
            f"at most {repeated}",
        ),
        _quarantine_rule("documents", params),
    ]
    return DataSet("corpus", ["document", "row"], frame, rules)


def messages(frame: pd.DataFrame, labels: Sequence[str], params: ExpectationParams) -> DataSet:
    columns, labels = ["row", "label", "text"], list(labels)
    one_of_them = f"every label is {', '.join(labels[:-1])} or {labels[-1]}"
    other_label = "text has another label elsewhere"
    rules = [
        _row_rule(
            "every message has a label",
            "ExpectColumnValuesToNotBeNull",
            {"column": "label"},
            "label is missing",
            params,
        ),
        _row_rule(
            one_of_them,
            "ExpectColumnValuesToBeInSet",
            {"column": "label", "value_set": labels},
            "label is unknown",
            params,
        ),
        *_text_rules("text", "message", params),
        _row_rule(
            "no text stands under two labels",
            "ExpectColumnValuesToBeInSet",
            {"column": "has_conflict", "value_set": [False]},
            other_label,
            params,
            details="conflict",
        ),
        _enough_rule("messages", params.min_messages),
        Rule(
            f"the labels are {', '.join(labels[:-1])} and {labels[-1]}, and all are there",
            "ExpectColumnDistinctValuesToEqualSet",
            {"column": "kept_label", "value_set": labels},
            ", ".join(labels),
        ),
        *[_class_rule(number, label, params.min_class_share) for number, label in enumerate(labels)],
        *_repeat_rules("messages", params),
        _quarantine_rule("messages", params),
    ]
    texts = _readable(frame["text"], params)
    conflict = duplicates.label_conflicts(frame.assign(text=texts), labels)
    found = duplicates.mark_duplicates(texts, params.near_duplicate_similarity)
    measured = pd.concat([_measure(frame, ["text"]), found], axis="columns").assign(
        conflict=conflict, has_conflict=conflict.notna()
    )
    for number, label in enumerate(labels):
        measured[f"is_class_{number}"] = (frame["label"] == label).astype("float64")
    counts = {
        "messages": len(frame),
        "classes": {label: int((frame["label"] == label).sum()) for label in labels},
        **_repeats(measured),
        "conflicting_labels": int(conflict.notna().sum()),
    }
    return DataSet("spam", columns, measured, rules, kept_columns=("group",), counts=counts)


def records(
    frame: pd.DataFrame, params: ExpectationParams, context_length: int, template: prompts.PromptTemplate
) -> DataSet:
    """`context_length`: tokens that the model can look back on. Whatever the tokenizer, a text has as many tokens as pieces, or more.

    `template`: of the prompt and of what the model learns to write.
    """
    columns = ["row", *FIELDS]
    rules = [rule for name in FIELDS for rule in _text_rules(name, "record", params, may_be_empty=name == "input")]
    rules += [
        _row_rule(
            f"no record is certain to have more than the {context_length:,} tokens of the model's context",
            "ExpectColumnValuesToBeBetween",
            {"column": "pieces", "max_value": context_length},
            f"prompt and output have more than {context_length:,} tokens, the model's context",
            params,
        ),
        _enough_rule("records", params.min_records),
        *_repeat_rules("records", params),
        _quarantine_rule("records", params),
    ]
    fields = {name: _readable(frame[name], params) for name in FIELDS}
    questions = instructions.questions(pd.DataFrame(fields))
    found = duplicates.mark_duplicates(questions, params.near_duplicate_similarity)
    measured = pd.concat([_measure(frame, FIELDS), found], axis="columns")
    measured["pieces"] = [_pieces(template, *texts) for texts in zip(*(fields[name] for name in FIELDS), strict=True)]
    counts = {
        "records": len(frame),
        "with_input": int((frame["input"].fillna("").str.strip() != "").sum()),
        **_repeats(measured),
    }
    return DataSet("instructions", columns, measured, rules, kept_columns=("group",), counts=counts)


def _readable(texts: pd.Series, params: ExpectationParams) -> pd.Series:
    """Null for texts that go to quarantine for their length: nothing that takes long is computed of them."""
    return texts.where(texts.map(len, na_action="ignore") <= params.max_text_characters)


def _pieces(template: prompts.PromptTemplate, *texts: Any) -> float:
    """Pieces of a record's prompt and output, a lower bound of their tokens; the end of text that closes them is never looked back on."""
    if any(pd.isna(text) for text in texts):
        return float("nan")
    instruction, given, output = texts
    return float(count_pieces(template.prompt(instruction, given)) + count_pieces(template.target(output)))


def _repeats(measured: pd.DataFrame) -> dict[str, int]:
    return {
        "duplicates": int(measured["is_duplicate"].sum()),
        "near_duplicates": int(measured["is_near_duplicate"].sum()),
    }


def _class_rule(number: int, label: str, share: float) -> Rule:
    arguments = {"column": f"kept_is_class_{number}", "min_value": share}
    return Rule(
        f"{_percent(share)} of the messages or more are {label}",
        "ExpectColumnMeanToBeBetween",
        arguments,
        f"at least {share}",
    )


def _repeat_rules(rows: str, params: ExpectationParams) -> list[Rule]:
    exact, near = params.max_duplicate_share, params.max_near_duplicate_share
    return [
        Rule(
            f"at most {_percent(exact)} of the {rows} repeat another but for case and spacing",
            "ExpectColumnMeanToBeBetween",
            {"column": "is_duplicate", "max_value": exact},
            f"at most {exact}",
        ),
        Rule(
            f"at most {_percent(near)} of the {rows} are nearly the same as another",
            "ExpectColumnMeanToBeBetween",
            {"column": "is_near_duplicate", "max_value": near},
            f"at most {near}",
        ),
    ]


def _row_rule(
    says: str, check: str, arguments: dict[str, Any], reason: str, params: ExpectationParams, details=None
) -> Rule:
    share = params.max_quarantined_share
    return Rule(
        says, check, {**arguments, "mostly": 1 - share}, f"at most {_percent(share)} of the rows", reason, details
    )


def _text_rules(column: str, row: str, params: ExpectationParams, *, may_be_empty: bool = False) -> list[Rule]:
    def rule(says: str, check: str, suffix: str, reason: str, **arguments: Any) -> Rule:
        return _row_rule(says, check, {"column": column + suffix, **arguments}, f"{column} {reason}", params)

    article = "an" if column[0] in "aeiou" else "a"
    rules = [
        rule(
            f"every {row} has {article} {column} that is a string",
            "ExpectColumnValuesToNotBeNull",
            "",
            "is missing or no string",
        )
    ]
    if not may_be_empty:
        rules.append(
            rule(
                f"no {column} is empty", "ExpectColumnValuesToBeBetween", "_visible_characters", "is empty", min_value=1
            )
        )
    longest, control = params.max_text_characters, "has control characters or undecodable ones"
    too_long = f"is longer than {longest:,} characters"
    return [
        *rules,
        rule(f"no {column} {too_long}", "ExpectColumnValuesToBeBetween", "_characters", too_long, max_value=longest),
        rule(
            f"no {column} {control}",
            "ExpectColumnValuesToBeInSet",
            "_has_control_characters",
            control,
            value_set=[False],
        ),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:g}%"


def _enough_rule(rows: str, wanted: int) -> Rule:
    arguments = {"column": "is_kept", "min_value": wanted}
    return Rule(f"{wanted:,} {rows} or more are kept", "ExpectColumnSumToBeBetween", arguments, f"at least {wanted:,}")


def _quarantine_rule(rows: str, params: ExpectationParams) -> Rule:
    share = params.max_quarantined_share
    arguments = {"column": "is_quarantined", "max_value": share}
    return Rule(
        f"at most {_percent(share)} of the {rows} are in quarantine",
        "ExpectColumnMeanToBeBetween",
        arguments,
        f"at most {share}",
    )


def _measure(frame: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Adds for each text column: its characters, those but for outer white space, and whether there are control characters among them."""
    measured = frame.copy()
    for column in columns:
        texts = frame[column]
        measured[f"{column}_characters"] = texts.map(len, na_action="ignore").astype("float64")
        measured[f"{column}_visible_characters"] = texts.map(lambda text: len(text.strip()), na_action="ignore").astype(
            "float64"
        )
        measured[f"{column}_has_control_characters"] = [
            bool(text_files.CONTROL_CHARACTERS.search(text)) for text in texts.fillna("")
        ]
    return measured
