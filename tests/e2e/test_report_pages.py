"""The pages as a person sees them: in a real browser, on a phone and on a desk, with texts that try to break them."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

import hostile
from gptmill.report import data_cards, page

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1400, "height": 900}
# Which texts on the page lie over one another. A line's box is higher than its letters: a quarter of it is left out above and below.
OVERLAPS = """() => {
  const boxes = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node; node = walker.nextNode();) {
    const parent = node.parentElement
    if (!node.data.trim() || parent.closest('title, style') || !parent.checkVisibility()) continue
    const range = document.createRange()
    range.selectNodeContents(node)
    for (const { left, right, top, bottom } of range.getClientRects()) {
      const quarter = (bottom - top) / 4
      if (right - left < 2 || bottom - top < 2) continue
      boxes.push({ node, left: left + 1, right: right - 1, top: top + quarter, bottom: bottom - quarter })
    }
  }
  boxes.sort((a, b) => a.top - b.top)
  const found = []
  boxes.forEach((a, i) => {
    for (let j = i + 1; j < boxes.length && boxes[j].top < a.bottom; j++) {
      const b = boxes[j]
      if (a.node !== b.node && a.left < b.right && b.left < a.right) found.push([a, b].map(box => box.node.data.trim().slice(0, 40)))
    }
  })
  return found
}"""
# What reaches beyond the right edge, though nothing clips it and it has no scroll bar of its own.
BEYOND = """() => [...document.body.querySelectorAll('*')]
  .filter(e => e.checkVisibility() && !e.closest('.scroll, svg, .cases > li > *') && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.outerHTML.slice(0, 80))"""


@dataclass
class Seen:
    """A page that is open, and what happened while it loaded."""

    page: object
    requests: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


PAGES: dict[str, Callable[[], str]] = {
    "report": lambda: page.render(hostile.report()),
    "report of four classes, extended": lambda: page.render(hostile.report(4), hostile.external()),
    "data card": lambda: data_cards.render(hostile.card()),
}


@pytest.fixture(scope="module")
def see(browser, tmp_path_factory) -> Callable[..., Seen]:
    """`see(html, viewport)` opens a page from a file, once each."""
    folder, seen = tmp_path_factory.mktemp("pages"), {}

    def open_page(name: str, viewport: dict, html: str | None = None, scheme: str = "light") -> Seen:
        key = name, viewport["width"], scheme
        if key not in seen:
            path = folder / f"{len(seen)}.html"
            path.write_text(html or PAGES[name](), encoding="utf-8")
            seen[key] = Seen(browser.new_page(viewport=viewport, color_scheme=scheme))
            seen[key].page.on("request", lambda request: seen[key].requests.append(request.url))
            seen[key].page.on("console", lambda message: seen[key].said.append(message.text))
            seen[key].page.on("pageerror", lambda error: seen[key].said.append(str(error)))
            seen[key].page.goto(path.as_uri())
            seen[key].page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        return seen[key]

    return open_page


each_page = pytest.mark.parametrize("name", PAGES)
each_size = pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])


def of_a_run(built, name: str) -> str:
    return (built.folder / "reports" / name).read_text(encoding="utf-8")


@each_size
@each_page
def test_a_page_does_not_scroll_sideways(see, name, viewport):
    seen = see(name, viewport)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert seen.page.evaluate(BEYOND) == []


@each_size
@each_page
def test_no_text_lies_over_another(see, name, viewport):
    assert see(name, viewport).page.evaluate(OVERLAPS) == []


@each_page
def test_nothing_is_loaded_run_or_complained_about(see, name):
    seen = see(name, PHONE)
    assert [url.partition(":")[0] for url in seen.requests if not url.startswith("data:")] == ["file"]
    assert seen.said == []
    assert seen.page.title().startswith("gptmill")
    assert (
        seen.page.evaluate(
            "document.querySelectorAll('script, img, iframe, object, embed, link[rel=stylesheet]').length"
        )
        == 0
    )
    assert hostile.SCRIPT in seen.page.inner_text("main")


@each_size
@pytest.mark.parametrize("name", ["report.html", "data/corpus.html", "data/spam.html", "data/instructions.html"])
def test_what_a_run_made_reads_well(see, built, name, viewport):
    seen = see(name, viewport, of_a_run(built, name))
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    assert seen.page.evaluate(OVERLAPS) == []
    assert seen.said == []


def test_texts_over_one_another_would_be_found(see):
    seen = see(
        "overlapping",
        PHONE,
        "<!doctype html><title>gptmill</title><p>first</p><p style='margin-top: -2.2em'>second</p><p>third</p>",
    )
    assert seen.page.evaluate(OVERLAPS) == [["second", "first"]]


def test_the_page_is_dark_where_the_person_wants_it_dark(see):
    def brightness(scheme: str, selector: str, what: str) -> float:
        result = see("report", PHONE, scheme=scheme).page.eval_on_selector(selector, f"e => getComputedStyle(e).{what}")
        return sum(map(float, result.removeprefix("rgb(").rstrip(")").split(",")[:3])) / 3

    for selector, what in (("body", "backgroundColor"), ("main", "color"), (".chart text", "fill")):
        light, dark = (brightness(scheme, selector, what) for scheme in ("light", "dark"))
        assert (light > 200 and dark < 60) if what == "backgroundColor" else dark > light + 60, selector
