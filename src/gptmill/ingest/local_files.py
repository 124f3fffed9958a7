"""The files that a path of `urls` names: one, those of a folder, or those that match a glob."""

import glob
import os
from pathlib import Path

from gptmill.config import overlaps
from gptmill.core import addresses, paths
from gptmill.core.errors import GptmillError
from gptmill.ingest import download

IN_A_COPY = (
    " in this copy of the project, which has what git and DVC know: have it copied to data/sources (gptmill data add), "
    "or name an absolute path"
)


def find(address: str) -> tuple[Path, list[Path]]:
    """The path that an address names, and the files there.

    Raises `fetching.DownloadError` when there is none, and `GptmillError` when one of them is an output of the project.
    """
    place = addresses.local_path(address)
    found = _files(place)
    for path, output in overlaps.files_in_outputs(found):
        raise GptmillError(f"{path} leads into {output}/, which runs write and remove: keep your own files elsewhere.")
    return place, found


def exists(address: str) -> bool:
    """Whether there is anything, whatever it is."""
    try:
        find(address)
    except download.NotFound:
        return False
    except (OSError, download.DownloadError):
        pass
    return True


def are_dvc_dependencies(files: list[Path], name: str) -> bool:
    """Whether DVC itself sees when these files change: the download stage depends on data/sources/<set>."""
    folder = os.path.realpath(paths.SOURCES / name)
    return all(Path(os.path.realpath(path)).is_relative_to(folder) for path in files)


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    if place.is_dir():
        return sorted(
            path
            for path in place.rglob("*")
            if path.is_file() and not _is_hidden(path.relative_to(place)) and _is_data(path)
        )
    if place.exists():
        raise download.DownloadError("it is neither a file nor a folder")
    found = [
        path for path in map(Path, sorted(glob.glob(str(place), recursive=True))) if path.is_file() and _is_data(path)
    ]
    if not found:
        missing = "no file is there" if glob.has_magic(str(place)) else "there is no such file or folder"
        in_a_copy = ".dvc/tmp/exps/" in Path.cwd().as_posix() and not place.is_absolute()
        raise download.NotFound(f"{missing}{IN_A_COPY if in_a_copy else ''}")
    return found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _is_data(path: Path) -> bool:
    """Whether it is neither what DVC keeps next to a file, nor the page that git has in each folder of data/sources."""
    return path.suffix != ".dvc" and (
        path.name != "README.md" or path.parent.parent.absolute() != paths.SOURCES.absolute()
    )
