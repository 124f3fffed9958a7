"""Sources inside the project's own outputs: DVC removes a stage's outputs before the stage runs, so they are refused."""

import glob
import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path

from gptmill.core import addresses, paths


def overlapping_output(address: str) -> Path | None:
    """The output that an address lies in, names or contains; None when it keeps clear of all, or is on a server.

    Links are followed. Of a glob, what it could match counts, there or not.
    """
    place = addresses.local_path(address)
    if place is None:
        return None
    if glob.has_magic(str(place)) and not os.path.lexists(place):
        pattern = _absolute(place)
        return next(
            (output for output in paths.OUTPUTS if _reaches(pattern, Path(os.path.realpath(output)).parts)), None
        )
    for output in paths.OUTPUTS:
        if _is_within(place, output) or _is_within(output, place):
            return output
    return None


def files_in_outputs(files: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    """Of these files, those that lie in an output or are links into one; each with the output."""
    outputs = {output: os.path.realpath(output) for output in paths.OUTPUTS}
    for file in files:
        real = Path(os.path.realpath(file))
        yield from ((file, output) for output, place in outputs.items() if real.is_relative_to(place))


def outside_links() -> Iterator[tuple[Path, Path]]:
    """Folders of stages' outputs that are links to somewhere outside the project, each with where it leads.

    DVC, which removes outputs before a stage, changes the rights of what such a link leads to.
    """
    root = os.path.realpath(".")
    raw = [paths.raw_folder(name) for name in paths.DATA_SETS]
    models = (paths.TOKENIZER, paths.BASE_MODEL, paths.CLASSIFIER_MODEL, paths.INSTRUCT_MODEL)
    for folder in (*paths.OUTPUTS, *raw, *models):
        real = Path(os.path.realpath(folder))
        if not real.is_relative_to(root) and folder not in (Path(".gptmill"), Path(".dvc")):
            yield folder, real


def _is_within(path: Path, folder: Path) -> bool:
    real, wanted = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    if real.is_relative_to(wanted):
        return True
    # The same folder under another name: where case plays no part, or what is mounted twice.
    return os.path.exists(wanted) and any(
        os.path.exists(up) and os.path.samefile(up, wanted) for up in (real, *real.parents)
    )


def _absolute(pattern: Path) -> tuple[str, ...]:
    """The parts of a glob, those before the first wildcard without links."""
    first = next(place for place, part in enumerate(pattern.parts) if glob.has_magic(part))
    rest = Path(os.path.normpath(Path(*pattern.parts[first:]))).parts
    ups = rest.count("..")  # at its start, after normpath
    base, rest = Path(os.path.realpath(Path(*pattern.parts[:first], *rest[:ups]))).parts, rest[ups:]
    return (*base, *(part for before, part in pairwise(("", *rest)) if (before, part) != ("**", "**")))  # as one


def _reaches(pattern: tuple[str, ...], output: tuple[str, ...]) -> bool:
    """Whether a glob can match an output, or something in it."""
    if not output:
        return True
    if not pattern:
        return False
    if pattern[0] == "**":
        return _reaches(pattern[1:], output) or _reaches(pattern, output[1:])
    return fnmatchcase(output[0], pattern[0]) and _reaches(pattern[1:], output[1:])
