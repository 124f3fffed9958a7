"""The pages of docs/: every link leads somewhere, and a link to a line leads to the line that defines what it names."""

import importlib.util
import re
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from gptmill.cli import app

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
CHAPTERS = ["chapter-2", "chapter-3", "chapter-4", "chapter-5", "chapter-6", "chapter-7", "appendix-d", "appendix-e"]

_spec = importlib.util.spec_from_file_location("relink", DOCS / "relink.py")
relink = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(relink)


def test_there_is_a_page_for_each_chapter_and_the_index_names_it():
    index = (DOCS / "README.md").read_text()
    for chapter in CHAPTERS:
        assert (DOCS / f"{chapter}.md").is_file() and f"({chapter}.md)" in index


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_to_a_file(page: Path):
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert targets
    assert [target for target in targets if not target.startswith("http") and not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_link_to_a_line_leads_to_its_symbol(page: Path):
    assert relink.relinked(page) == page.read_text(), "lines have moved: run python docs/relink.py"
    for match in relink.LINE_LINK.finditer(page.read_text()):
        line = (page.parent / match["path"]).read_text().split("\n")[int(match["line"]) - 1]
        assert match["symbol"].split(".")[-1] in line
    assert page.read_text().count("#L") == len(relink.LINE_LINK.findall(page.read_text())), (
        "a link to a line that names no `symbol`"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_that_a_page_names_is_there(page: Path):
    for words in re.findall(r"^gptmill ([a-z ]+)|`gptmill ([a-z ]+)", page.read_text(), re.MULTILINE):
        command = get_command(app)
        for word in "".join(words).split():
            if isinstance(command, TyperGroup):  # what follows a command are its arguments
                command = command.commands[word]
