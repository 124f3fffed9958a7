"""The pages of docs/: every link leads somewhere, and the link of a symbol to the file that defines it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from gptmill.cli import app

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
CHAPTERS = ["chapter-2", "chapter-3", "chapter-4", "chapter-5", "chapter-6", "chapter-7", "appendix-d", "appendix-e"]

SYMBOL_LINK = re.compile(r"\[`(?P<symbol>[\w.]+)`\]\((?P<path>[^)#]+\.py)\)")


def defined(path: Path) -> set[str]:
    """The functions, classes, methods and module constants of a Python file."""

    def walk(body: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield f"{prefix}{node.name}"
                yield from walk(node.body, f"{node.name}.") if isinstance(node, ast.ClassDef) else ()
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                yield from (
                    prefix + name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
                )

    return set(walk(ast.parse(path.read_text(encoding="utf-8")).body, ""))


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
def test_a_link_of_a_symbol_leads_to_the_file_that_defines_it(page: Path):
    text = page.read_text()
    links = SYMBOL_LINK.findall(text)
    assert [(symbol, path) for symbol, path in links if symbol not in defined(page.parent / path)] == []
    assert "#L" not in text, "lines move: name the symbol"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_that_a_page_names_is_there(page: Path):
    for words in re.findall(r"^gptmill ([a-z ]+)|`gptmill ([a-z ]+)", page.read_text(), re.MULTILINE):
        command = get_command(app)
        for word in "".join(words).split():
            if isinstance(command, TyperGroup):  # what follows a command are its arguments
                command = command.commands[word]
