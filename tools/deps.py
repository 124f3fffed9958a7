"""Writes what can be written of dvc.yaml: the folders of code that each stage imports from, and the parameters that it reads.

    make deps        # runs the graph on profile mini to see what is read; less than a minute

A stage that was added by hand with its `cmd` and its outputs gets the rest. What is right already stays as it is written.
"""

import ast
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gptmill import config
from gptmill.config import profiles, schema
from gptmill.config.section import Section
from gptmill.core import files, paths

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/gptmill"
# No dependency of any stage: DVC compares the values of the params that a stage names, and params.yaml is always complete.
NO_DEPENDENCY = PACKAGE / "config"
# How often a checkpoint is written changes no result: a stage that was run with another value is not out of date.
WITHOUT_INFLUENCE = {"compute.checkpoint_minutes"}


# --- code ---


def imported(path: Path) -> set[str]:
    """Names of the modules that a file imports, anywhere in it; `from a import b` gives both a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def first_party(path: Path) -> set[Path]:
    """Our own files that a file imports."""
    return {file for name in imported(path) if name.split(".")[0] == PACKAGE.name and (file := _file(name))}


def closure(path: Path) -> set[Path]:
    """All files of ours that a file needs, itself included; those without code, and the package's own first file, decide nothing."""
    seen: set[Path] = set()
    todo = [path]
    while todo:
        if (file := todo.pop()) not in seen:
            seen.add(file)
            todo += first_party(file)
    return {file for file in seen if _has_code(file) and file != PACKAGE / "__init__.py"}


def code(stage: str) -> list[str]:
    """The folders of the package that a stage imports from, and its own file, as dvc.yaml names them."""
    own = PACKAGE / "stages" / f"{stage.partition('@')[0]}.py"
    needed = {file for file in closure(own) if not file.is_relative_to(NO_DEPENDENCY) and file != own}
    folders = {PACKAGE / file.relative_to(PACKAGE).parts[0] for file in needed}
    return [*sorted(str(folder.relative_to(ROOT)) for folder in folders), str(own.relative_to(ROOT))]


def _file(module: str) -> Path | None:
    path = PACKAGE.parent / Path(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def _has_code(path: Path) -> bool:
    return any(not isinstance(node, ast.Expr) for node in ast.parse(path.read_text(encoding="utf-8")).body)


# --- parameters ---


@contextmanager
def recorded_reads(values: schema.Params) -> Iterator[set[str]]:
    """The dotted keys that are read from `values` meanwhile; a section that is read as a whole stands for all that is in it."""
    places: dict[int, str] = {}

    def place(section: Section, prefix: str) -> None:
        places[id(section)] = prefix
        for name in type(section).model_fields:
            if isinstance(value := getattr(section, name), Section):
                place(value, f"{prefix}{name}.")

    place(values, "")
    read: set[str] = set()

    def recording(self: Section, name: str) -> object:
        value = object.__getattribute__(self, name)
        if id(self) in places:
            if name == "model_dump":
                read.add(places[id(self)].rstrip("."))
            elif name in type(self).model_fields and not isinstance(value, Section):
                read.add(places[id(self)] + name)
        return value

    Section.__getattribute__ = recording
    try:
        yield read
    finally:
        del Section.__getattribute__


def undeclared(read: set[str], declared: set[str]) -> set[str]:
    return {key for key in read - WITHOUT_INFLUENCE if not any(_within(key, known) for known in declared)}


def unread(read: set[str], declared: set[str]) -> set[str]:
    return {key for key in declared if not any(_within(key, known) or _within(known, key) for known in read)}


def _within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(f"{outer}.")


# --- dvc.yaml ---


def write(graph: Path, reads: dict[str, set[str]]) -> list[str]:
    """Put what is missing into the graph and take out what is not needed; the lines that tell of it."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 140
    yaml.indent(mapping=2, sequence=4, offset=2)
    document, told = yaml.load(graph.read_text(encoding="utf-8")), []
    for name, entry in document["stages"].items():
        if "do" in entry:  # its parameters are templates of each item
            lists = {"deps": (entry["do"], set(), set())}
        else:
            params_of = entry.setdefault("params", [])
            missing, extra = undeclared(reads[name], set(params_of)), unread(reads[name], set(params_of))
            lists = {"deps": (entry, set(), set()), "params": (entry, missing, extra)}
        for key, (place, missing, extra) in lists.items():
            listed = place.setdefault(key, [])
            if key == "deps":
                needed, declared = set(code(name)), {dep for dep in listed if dep.startswith("src/")}
                missing, extra = needed - declared, declared - needed
            for one in sorted(extra):
                listed.remove(one)
            listed.extend(sorted(missing))
            told += [f"{name}: {key} + {one}" for one in sorted(missing)] + [
                f"{name}: {key} - {one}" for one in sorted(extra)
            ]
        if not entry.get("params", True):
            del entry["params"]
    if told:
        with files.atomic(graph) as tmp, tmp.open("w", encoding="utf-8") as file:
            yaml.dump(document, file)
    return told


def read_by_each_stage() -> dict[str, set[str]]:
    """Run the graph of the working folder's dvc.yaml on profile mini in a folder of its own."""
    from gptmill import stages
    from pipelines import graph

    order = [stage.name for stage in graph.read(str(ROOT))]
    with tempfile.TemporaryDirectory(prefix="gptmill-") as temporary:
        folder = Path(temporary)
        for name in (paths.PROFILES, paths.RUBRICS, paths.SOURCES, paths.GRAPH):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to((ROOT / name).resolve())
        before = Path.cwd()
        os.chdir(folder)
        try:
            files.write_text(paths.PARAMS, profiles.text("mini"))
            values, reads = config.load(), {}
            for address in order:
                name, _, item = address.partition("@")
                with recorded_reads(values) as read:
                    stages.run(name, values, item or None)
                reads.setdefault(name, set()).update(read)
            return reads
        finally:
            os.chdir(before)


def main() -> None:
    told = write(ROOT / paths.GRAPH, read_by_each_stage())
    print("\n".join(told) or f"{paths.GRAPH} names what each stage needs.")
    sys.exit(0)


if __name__ == "__main__":
    main()
