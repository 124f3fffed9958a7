"""The data cards: a page per data set, with its source, splits, lengths, duplicates, quarantine and examples."""

from typing import Any

from gptmill.core import paths
from gptmill.report import charts, templates
from gptmill.report.data_card_inputs import Card, Contents
from gptmill.report.inputs import DATA_SETS

LISTED = 8  # items shown of a list in source.json (files)
UNITS = {"corpus": ("document", "documents"), "spam": ("text", "texts"), "instructions": ("record", "records")}


def render(card: Card) -> str:
    """The same inputs give the same bytes."""
    one, many = UNITS[card.name]
    contents = card.contents
    return templates.render(
        "data_card.html.jinja",
        card=card,
        one=one,
        many=many,
        titles=DATA_SETS,
        report=f"../{paths.REPORT.name}",
        data_docs=f"../{paths.DATA_DOCS.relative_to(paths.REPORTS)}/index.html",
        details=[(name.replace("_", " "), _plain(value)) for name, value in (card.source.model_extra or {}).items()],
        bars=contents.lengths.bars(contents.limit.tokens),
        chart=_chart(contents, many),
        cut=_cut(card, many),
        duplicates=_duplicates(card),
    )


def summary(card: Card) -> str:
    """One line for the terminal."""
    lengths, limit = card.contents.lengths, card.contents.limit
    return (
        f"kept {card.validation.kept:,}, in quarantine {card.validation.quarantined:,}; median "
        f"{lengths.quantile(0.5):,} tokens, {lengths.over(limit.tokens):,} longer than {limit.name} ({limit.tokens:,})"
    )


def _chart(contents: Contents, many: str) -> Any:
    """None for fewer than two texts."""
    lengths, limit = contents.lengths, contents.limit
    if lengths.texts < 2:
        return None
    title = (
        f"Lengths of {lengths.texts:,} {many} in tokens: median {lengths.quantile(0.5):,}, "
        f"longest {lengths.longest:,}; {lengths.over(limit.tokens):,} are longer than {limit.tokens:,}."
    )
    label = f"{limit.name.partition('.')[2]} {limit.tokens:,}"
    return charts.lengths(lengths.bars(limit.tokens), (label, limit.tokens), "lengths", title)


def _cut(card: Card, many: str) -> str:
    """What happens to the texts over the limit, in words."""
    lengths, limit = card.contents.lengths, card.contents.limit
    over, alone = lengths.over(limit.tokens), lengths.texts == 1
    than = f"longer than {limit.name} ({limit.tokens:,} tokens)"
    if not over:
        return f"{'It is not' if alone else 'None is'} {than}: nothing is cut."
    some = f"{over:,} of {lengths.texts:,} {many} ({over / lengths.texts:.1%}) {'is' if over == 1 else 'are'}"
    longer = f"{'It is' if alone else some} {than}."
    if card.name == "corpus":
        return f"{longer} Nothing is lost: the model learns from windows of that length, each read independently."
    if card.name == "spam":
        return f"{longer} The classifier reads the first {limit.tokens:,} tokens of a text."
    lost = f"of {card.contents.lost:,}, nothing of the answer is left"
    left = lost if card.contents.lost else "something of every answer is left"
    return f"{longer} Training uses the first {limit.tokens:,} tokens of prompt and answer; {left}."


def _duplicates(card: Card) -> list[tuple[str, str, int | None, bool]]:
    """(name, meaning, count, whether any is a defect). A count of None: not measured."""
    result = card.validation
    rows = [
        ("Exact duplicates", "the same text as an earlier row, ignoring case and spacing", result.duplicates, False),
        ("Near-duplicates", "nearly the same text as another row", result.near_duplicates, False),
    ]
    if card.name == "spam":
        rows.append(("Conflicting labels", "the same text under two labels", result.conflicting_labels, False))
    if card.name != "corpus" or result.leakage:
        leakage = result.leakage
        rows += [
            ("Leaking pairs, exact", "the same text in two splits", leakage and leakage.exact, True),
            ("Leaking pairs, near", "nearly the same text in two splits", leakage and leakage.near, True),
        ]
    return rows


def _plain(value: Any) -> str:
    """A further field of source.json."""
    if isinstance(value, list):
        more = [f"and {len(value) - LISTED:,} more"] if len(value) > LISTED else []
        between = "\n" if any(isinstance(item, dict) for item in value) else ", "
        return between.join([*map(_plain, value[:LISTED]), *more]) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return "none" if value in (None, "") else f"{value:,}" if type(value) is int else str(value)
