"""The data cards: for each data set a page that says what it is, where it came from, and what became of its rows."""

from typing import Any

from gptmill.core import paths
from gptmill.report import charts, templates
from gptmill.report.card_inputs import Card, Contents
from gptmill.report.inputs import DATA_SETS

LISTED = 8  # of what a source lists (its files), so many are named
UNITS = {"corpus": ("document", "documents"), "spam": ("text", "texts"), "instructions": ("record", "records")}


def render(card: Card) -> str:
    """The whole page. The same inputs give the same bytes."""
    one, many = UNITS[card.name]
    contents = card.contents
    return templates.render(
        "card.html.jinja",
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
        f"kept {card.findings.kept:,}, in quarantine {card.findings.quarantined:,}; median {lengths.quantile(0.5):,} tokens, "
        f"{lengths.over(limit.tokens):,} longer than {limit.name} ({limit.tokens:,})"
    )


def _chart(contents: Contents, many: str) -> Any:
    """None when there is nothing to compare: fewer than two texts."""
    lengths, limit = contents.lengths, contents.limit
    if lengths.texts < 2:
        return None
    title = (
        f"Lengths of {lengths.texts:,} {many} in tokens: median {lengths.quantile(0.5):,}, longest {lengths.longest:,}; "
        f"{lengths.over(limit.tokens):,} are longer than {limit.tokens:,}."
    )
    return charts.lengths(
        lengths.bars(limit.tokens), (f"{limit.name.partition('.')[2]} {limit.tokens:,}", limit.tokens), "lengths", title
    )


def _cut(card: Card, many: str) -> str:
    """What the limit does to the texts that are longer, in words."""
    lengths, limit = card.contents.lengths, card.contents.limit
    over, alone = lengths.over(limit.tokens), lengths.texts == 1
    than = f"longer than {limit.name} ({limit.tokens:,} tokens)"
    if not over:
        return f"{'It is not' if alone else 'None is'} {than}: nothing is cut."
    some = f"{over:,} of {lengths.texts:,} {many} ({over / lengths.texts:.1%}) {'is' if over == 1 else 'are'}"
    said = f"{'It is' if alone else some} {than}. "
    if card.name == "corpus":
        return (
            said
            + "Nothing is lost by that: the model learns from windows of so many tokens, and within one it sees no other."
        )
    if card.name == "spam":
        return said + f"The classifier reads the first {limit.tokens:,} tokens of a text and nothing after."
    lost = (
        f"of {card.contents.lost:,}, nothing of the answer is left"
        if card.contents.lost
        else "something of every answer is left"
    )
    return said + f"What comes after the first {limit.tokens:,} tokens of prompt and answer is not learnt; {lost}."


def _duplicates(card: Card) -> list[tuple[str, str, int | None, bool]]:
    """(what, what it means, how many, whether any is one too many); None: it was not measured."""
    findings = card.findings
    rows = [
        ("Exact duplicates", "stood before, whatever the case and spacing", findings.duplicates, False),
        ("Near-duplicates", "all but the same as another one", findings.near_duplicates, False),
    ]
    if card.name == "spam":
        rows.append(("Conflicting labels", "the same text under two labels", findings.conflicting_labels, False))
    if card.name != "corpus" or findings.leakage:
        leakage = findings.leakage
        rows += [
            ("Leaking pairs, exact", "two that say the same, in different splits", leakage and leakage.exact, True),
            (
                "Leaking pairs, near",
                "two that say nearly the same, in different splits",
                leakage and leakage.near,
                True,
            ),
        ]
    return rows


def _plain(value: Any) -> str:
    """A value of source.json that no one told us about."""
    if isinstance(value, list):
        more = [f"and {len(value) - LISTED:,} more"] if len(value) > LISTED else []
        between = "\n" if any(isinstance(item, dict) for item in value) else ", "
        return between.join([*map(_plain, value[:LISTED]), *more]) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(item)}" for key, item in value.items())
    return "none" if value in (None, "") else f"{value:,}" if type(value) is int else str(value)
