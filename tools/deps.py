"""Writes dependencies to dvc.yaml: the folders of code that each stage imports, and the parameters that it reads.

    make deps        # runs the graph on profile mini and records the reads; less than a minute

A new stage needs its `cmd` and outputs alone. Correct lines stay unchanged.
"""

import ast
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gptmill import config
from gptmill.config import profiles, schema
from gptmill.config.section import Section
from gptmill.core import files, paths
from gptmill.core.terminal import exit_on_error, say

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/gptmill"
# Not a dependency of stages: DVC compares the values of their params, and params.yaml is always complete.
NO_DEPENDENCY = PACKAGE / "config"
# Params that change no result: another value does not put a stage out of date.
WITHOUT_INFLUENCE = {"compute.checkpoint_minutes"}


# --- code ---


def imported(path: Path) -> set[str]:
    """Names of the modules that a file imports, also within functions; `from a import b` gives a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def first_party(path: Path) -> set[Path]:
    """Files of the package that a file imports."""
    return {file for name in imported(path) if name.split(".")[0] == PACKAGE.name and (file := _file(name))}


def closure(path: Path) -> set[Path]:
    """Files of the package that a file needs, with itself; without empty ones and the package's `__init__.py`."""
    seen: set[Path] = set()
    todo = [path]
    while todo:
        if (file := todo.pop()) not in seen:
            seen.add(file)
            todo += first_party(file)
    return {file for file in seen if _has_code(file) and file != PACKAGE / "__init__.py"}


def code(stage: str) -> list[str]:
    """The folders of the package that a stage imports, and its own file, as dvc.yaml names them."""
    own = PACKAGE / "stages" / f"{stage.partition('@')[0]}.py"
    imports = {file for file in closure(own) if not file.is_relative_to(NO_DEPENDENCY) and file != own}
    folders = {PACKAGE / file.relative_to(PACKAGE).parts[0] for file in imports}
    return [*sorted(str(folder.relative_to(ROOT)) for folder in folders), str(own.relative_to(ROOT))]


def _file(module: str) -> Path | None:
    path = PACKAGE.parent / Path(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def _has_code(path: Path) -> bool:
    return any(not isinstance(node, ast.Expr) for node in ast.parse(path.read_text(encoding="utf-8")).body)


# --- parameters ---


@contextmanager
def recorded_reads(values: schema.Params) -> Iterator[set[str]]:
    """The dotted keys that are read from `values` meanwhile; a section stands for all its keys."""
    prefixes: dict[int, str] = {}

    def register(section: Section, prefix: str) -> None:
        prefixes[id(section)] = prefix
        for name in type(section).model_fields:
            if isinstance(value := getattr(section, name), Section):
                register(value, f"{prefix}{name}.")

    register(values, "")
    read: set[str] = set()

    def recording(self: Section, name: str) -> object:
        value = object.__getattribute__(self, name)
        if id(self) in prefixes:
            if name == "model_dump":
                read.add(prefixes[id(self)].rstrip("."))
            elif name in type(self).model_fields and not isinstance(value, Section):
                read.add(prefixes[id(self)] + name)
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
    """Add missing entries to the graph and remove unused ones; returns a line for each change."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 140
    yaml.indent(mapping=2, sequence=4, offset=2)
    document, changes = yaml.load(graph.read_text(encoding="utf-8")), []
    for name, entry in document["stages"].items():
        if "do" in entry:  # a foreach stage: its params are templates
            lists = {"deps": (entry["do"], set(), set())}
        else:
            params_of = entry.setdefault("params", [])
            missing, extra = undeclared(reads[name], set(params_of)), unread(reads[name], set(params_of))
            lists = {"deps": (entry, set(), set()), "params": (entry, missing, extra)}
        for key, (stage, missing, extra) in lists.items():
            values = stage.setdefault(key, [])
            if key == "deps":
                imports, declared = set(code(name)), {dep for dep in values if dep.startswith("src/")}
                missing, extra = imports - declared, declared - imports
            for value in sorted(extra):
                values.remove(value)
            values.extend(sorted(missing))
            changes += [f"{name}: {key} + {value}" for value in sorted(missing)]
            changes += [f"{name}: {key} - {value}" for value in sorted(extra)]
        if not entry.get("params", True):
            del entry["params"]
    if changes:
        with files.atomic(graph) as tmp, tmp.open("w", encoding="utf-8") as file:
            yaml.dump(document, file)
    return changes


def read_by_each_stage() -> dict[str, set[str]]:
    """Run the graph on profile mini in a temporary folder; returns the keys that each stage reads."""
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
    with exit_on_error():
        changes = write(ROOT / paths.GRAPH, read_by_each_stage())
        say("\n".join(changes) or f"{paths.GRAPH} is up to date.")


if __name__ == "__main__":
    main()
