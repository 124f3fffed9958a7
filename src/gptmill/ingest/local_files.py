"""Files of a local path in `urls`: one file, those of a folder, or those that match a glob."""

import glob
import os
from pathlib import Path

from gptmill.config import source_overlaps
from gptmill.core import addresses, paths
from gptmill.core.errors import GptmillError
from gptmill.ingest import download

IN_A_COPY = (
    " in this copy of the project, which has only git's and DVC's files: copy it to data/sources (gptmill data add), "
    "or name an absolute path"
)


def find(address: str) -> tuple[Path, list[Path]]:
    """The path of an address, and the files there.

    Raises `DownloadError` without a file, and `GptmillError` when one of them is an output of the project.
    """
    place = addresses.local_path(address)
    files = _files(place)
    for path, output in source_overlaps.files_in_outputs(files):
        raise GptmillError(f"{path} leads into {output}/, which runs write and remove: keep your own files elsewhere.")
    return place, files


def exists(address: str) -> bool:
    """Whether there is anything, readable or not."""
    try:
        find(address)
    except download.NotFound:
        return False
    except (OSError, download.DownloadError):
        pass
    return True


def are_dvc_dependencies(files: list[Path], name: str) -> bool:
    """Whether DVC detects changes of these files: the download stage depends on data/sources/<set>."""
    folder = os.path.realpath(paths.SOURCES / name)
    return all(Path(os.path.realpath(path)).is_relative_to(folder) for path in files)


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if place.is_dir():
        visible = (path for path in place.rglob("*") if not _is_hidden(path.relative_to(place)))
        return sorted(path for path in visible if path.is_file() and _is_data(path))
    if place.exists():
        raise download.DownloadError("it is neither a file nor a folder")
    matches = map(Path, sorted(glob.glob(str(place), recursive=True)))
    files = [path for path in matches if path.is_file() and _is_data(path)]
    if not files:
        missing = "no file is there" if glob.has_magic(str(place)) else "there is no such file or folder"
        in_a_copy = ".dvc/tmp/exps/" in Path.cwd().as_posix() and not place.is_absolute()
        raise download.NotFound(f"{missing}{IN_A_COPY if in_a_copy else ''}")
    return files


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _is_data(path: Path) -> bool:
    """Neither a .dvc file nor the README of a folder of data/sources."""
    is_readme = path.name == "README.md" and path.parent.parent.absolute() == paths.SOURCES.absolute()
    return path.suffix != ".dvc" and not is_readme
