"""Points the pages' links at the lines where the code is now: `python docs/relink.py`. tests/test_docs.py says when that is due.

A link to a line is written as [`Symbol`](../path/to/file.py#L12), or [`Class.method`](…); the line is found from the symbol.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

DOCS = Path(__file__).parent
LINE_LINK = re.compile(r"\[`(?P<symbol>[\w.]+)`\]\((?P<path>[^)#]+\.py)#L(?P<line>\d+)\)")


def definitions(path: Path) -> dict[str, int]:
    """The line of each function, class, method and module constant of a Python file, by name."""

    def walk(body: list[ast.stmt], prefix: str) -> Iterator[tuple[str, int]]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield f"{prefix}{node.name}", node.lineno
                yield from walk(node.body, f"{node.name}.") if isinstance(node, ast.ClassDef) else ()
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    for name in target.elts if isinstance(target, ast.Tuple) else [target]:
                        if isinstance(name, ast.Name):
                            yield f"{prefix}{name.id}", node.lineno

    return dict(walk(ast.parse(path.read_text(encoding="utf-8")).body, ""))


def relinked(page: Path) -> str:
    """The page's text with each line link pointing at its symbol. Raises `KeyError` when a file has no such symbol."""

    def point(match: re.Match) -> str:
        line = definitions(page.parent / match["path"])[match["symbol"]]
        return f"[`{match['symbol']}`]({match['path']}#L{line})"

    return LINE_LINK.sub(point, page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    for page in sorted(DOCS.glob("*.md")):
        page.write_text(relinked(page), encoding="utf-8")
