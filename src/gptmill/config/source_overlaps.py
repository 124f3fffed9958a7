"""Refuses sources inside the project's outputs, as DVC removes a stage's outputs before the stage runs."""

import glob
import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

from gptmill.core import addresses, paths


def overlapping_output(address: str) -> Path | None:
    """The output that an address lies in, names or contains; None when there is none, or it is on a server.

    Links are followed. A glob overlaps what it could match, whether it exists or not.
    """
    place = addresses.local_path(address)
    if place is None:
        return None
    if glob.has_magic(str(place)) and not os.path.lexists(place):
        pattern = _absolute(place)
        overlapping = (output for output in paths.OUTPUTS if _may_match(pattern, Path(os.path.realpath(output)).parts))
    else:
        overlapping = (output for output in paths.OUTPUTS if _is_within(place, output) or _is_within(output, place))
    return next(overlapping, None)


def files_in_outputs(files: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """(file, output) for each file that lies in an output or links into one."""
    outputs = {output: os.path.realpath(output) for output in paths.OUTPUTS}
    for file in files:
        real = Path(os.path.realpath(file))
        yield from ((file, output) for output, place in outputs.items() if real.is_relative_to(place))


def outside_links() -> Iterator[tuple[Path, Path]]:
    """(folder, target) of output folders that link outside the project: DVC would change the target's permissions."""
    root = os.path.realpath(".")
    raw = [paths.raw_folder(name) for name in paths.DATA_SETS]
    models = (paths.TOKENIZER, paths.BASE_MODEL, paths.CLASSIFIER_MODEL, paths.INSTRUCT_MODEL)
    for folder in (*paths.OUTPUTS, *raw, *models):
        real = Path(os.path.realpath(folder))
        if not real.is_relative_to(root) and folder not in (Path(".gptmill"), Path(".dvc")):
            yield folder, real


def _is_within(path: Path, folder: Path) -> bool:
    path, folder = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    if path.is_relative_to(folder):
        return True
    # The same folder under another name: on a case-insensitive file system, or mounted twice.
    ups = (path, *path.parents)
    return os.path.exists(folder) and any(os.path.exists(up) and os.path.samefile(up, folder) for up in ups)


def _absolute(pattern: Path) -> tuple[str, ...]:
    """The parts of a glob, with links resolved before its first wildcard."""
    first = next(place for place, part in enumerate(pattern.parts) if glob.has_magic(part))
    rest = Path(os.path.normpath(Path(*pattern.parts[first:]))).parts
    ups = rest.count("..")  # at the start, after normpath
    base, rest = Path(os.path.realpath(Path(*pattern.parts[:first], *rest[:ups]))).parts, rest[ups:]
    return (*base, *(part for before, part in pairwise(("", *rest)) if (before, part) != ("**", "**")))  # as one


def _may_match(pattern: tuple[str, ...], output: tuple[str, ...]) -> bool:
    """Whether a glob can match an output or something in it."""
    if not output:
        return True
    if not pattern:
        return False
    if pattern[0] == "**":
        return _may_match(pattern[1:], output) or _may_match(pattern, output[1:])
    return fnmatchcase(output[0], pattern[0]) and _may_match(pattern[1:], output[1:])
