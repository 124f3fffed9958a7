"""Renders Jinja templates with autoescape, and formats their values."""

import unicodedata
from typing import Any

import jinja2

LONGEST_TEXT, MOST_LINES = 1200, 30  # characters and lines per text
# Invisible characters that reorder or hide text.
BIDI_CONTROLS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
INVISIBLE = "\u00ad\u200b\u2028\u2029\u2060\u2061\u2062\u2063\u2064\ufeff"
TAGS = map(chr, range(0xE0000, 0xE0080))
HIDDEN = frozenset([*BIDI_CONTROLS, *INVISIBLE, *TAGS])


def render(template: str, **values: Any) -> str:
    """The same values give the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gptmill.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "visible": visible,
        "percent": percent,
        "confidence": confidence,
        "number": number,
        "observed": observed,
        "operations": operations,
    }
    return environment.get_template(template).render(**values)


def visible(text: str, longest: int = LONGEST_TEXT) -> str:
    """`text`, cut, with control and hidden characters replaced by visible symbols."""
    shown = "\n".join(text[:longest].split("\n")[:MOST_LINES])
    more = len(text) - len(shown)
    shown = shown.replace("\r\n", "\n")
    shown = "".join(
        _picture(c) if c in HIDDEN or (unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t") else c
        for c in shown
    )
    return f"{shown} … ({more:,} more characters)" if more > 0 else shown


def _picture(character: str) -> str:
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"


def percent(share: float) -> str:
    return f"{share:.1%}"


def confidence(probability: float) -> str:
    """A probability with four decimals, never 100%."""
    return f"{probability:.2%}" if probability < 1 else "> 99.99%"


def number(value: float) -> str:
    """With thousands separators; of a fraction, the significant digits."""
    if float(value).is_integer():
        return f"{int(value):,}"
    size = abs(value)
    decimals = 1 if size >= 100 else 2 if size >= 10 else 3 if size >= 0.1 else None
    return f"{value:.3g}" if decimals is None else f"{value:,.{decimals}f}"


def operations(value: float) -> str:
    """FLOPs with a unit prefix."""
    for size, unit in ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e6:.3g} MFLOP"


def observed(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case list():
            return ", ".join(map(str, value))
        case float() | int():
            return f"{value:,}"
    return str(value)
