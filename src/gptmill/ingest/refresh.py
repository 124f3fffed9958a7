"""`gptmill data refresh`: asks where the data came from whether it has changed. For people, and for runs on a schedule.

Only a real change touches anything: the new hash goes into params.yaml, and the next `dvc repro` runs the download and what depends on it.
"""

from collections.abc import Iterator

from gptmill import config as params_file
from gptmill.config import editing, overlaps
from gptmill.config.schema import Params
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.ingest import custom, local_files, sources


def refresh(params: Params, name: str | None = None) -> Iterator[str]:
    """What to tell of each data set, one after the other.

    Raises `GptmillError` when there is no data set of that name, when upstream can't be had, or when one of the book's files has changed.
    """
    for one in _named(name):
        wanted = custom.SourceSpec.of(one, params.data)
        if params.data.source == "book":
            yield _book(one)
        elif params.data.source == "custom" and wanted.urls:
            yield _custom(wanted)
        else:
            yield f"{one}: the embedded sample; there is nothing upstream."


def _book(name: str) -> str:
    source = sources.BOOK[name]
    try:
        sources.fetch(source, anew=True)
    except GptmillError as error:
        raise GptmillError(
            f"{name}: {error} The book's numbers belong to the published bytes, so there is nothing to accept."
        ) from None
    return f"{name}: unchanged, {source.sha256} as published."


def _custom(wanted: custom.SourceSpec) -> str:
    record = custom.read_source_record(paths.source_record(wanted.name))
    old = wanted.sha256 or (record or {}).get("fetched", {}).get("sha256")
    if not old:
        return f"{wanted.name}: not fetched yet. `dvc repro` does it."
    fetched = custom.probe(wanted)
    if fetched.sha256 == old:
        return f"{wanted.name}: unchanged, {old} from {fetched.origin}."
    if not wanted.sha256 and _is_dependency(fetched, wanted.name):
        return f"{wanted.name}: {fetched.origin} has changed: {old} -> {fetched.sha256}. `dvc repro` runs what depends on it."
    pin_sha256(wanted.name, fetched.sha256)
    return (
        f"{wanted.name}: {fetched.origin} has changed: {old} -> {fetched.sha256}. "
        f"data.{wanted.name}.sha256 in {paths.PARAMS} is the new one now; `dvc repro` runs what depends on it."
    )


def refresh_local(params: Params, name: str | None = None) -> Iterator[str]:
    """Pins what is at local paths now, where it is other than params.yaml says; a line for each. No server is asked."""
    for one, fetched in changed_local_sources(params, name).items():
        pin_sha256(one, fetched.sha256)
        old = getattr(params.data, one).sha256
        yield f"{one}: {fetched.origin} {f'has changed: {old} ->' if old else 'is'} {fetched.sha256}, pinned as data.{one}.sha256."


def with_pinned_hashes(text: str) -> str:
    """The same for params that are in no file yet: their text with the hashes of what is at their local paths."""
    return editing.set_values(
        text, {_key(name): fetched.sha256 for name, fetched in changed_local_sources(params_file.parse(text)).items()}
    )


def changed_local_sources(params: Params, name: str | None = None) -> dict[str, custom.FetchResult]:
    """Data set -> what is at its local path now, when its hash has to be pinned so that DVC sees it.

    DVC knows of a path outside data/sources/<set> by `data.<set>.sha256` alone: without, what was corrected in place would come from its
    cache as it was. A pinned hash follows the file wherever it is: a path is the user's own.
    """
    found = {}
    for one in _named(name) if params.data.source == "custom" else ():
        wanted = custom.SourceSpec.of(one, params.data)
        fetched = custom.probe_local(wanted, custom.read_source_record(paths.source_record(one)))
        if fetched and fetched.sha256 != wanted.sha256 and (wanted.sha256 or not _is_dependency(fetched, one)):
            found[one] = fetched
    return found


def _is_dependency(fetched: custom.FetchResult, name: str) -> bool:
    return custom.is_local(fetched.address) and local_files.are_dvc_dependencies(
        [part.path for part in fetched.parts], name
    )


def _named(name: str | None) -> tuple[str, ...]:
    if name is not None and name not in paths.DATA_SETS:
        raise GptmillError(f"there is no data set {name}; there are {', '.join(paths.DATA_SETS)}")
    return paths.DATA_SETS if name is None else (name,)


def check_local(params: Params) -> None:
    """Raises `GptmillError` when a local path leads into the project's outputs, by a link in a folder or in what a glob matches; or an
    output out of the project.
    """
    for folder, target in overlaps.outside_links():
        raise GptmillError(
            f"{folder} leads out of the project, to {target}, where runs would write and remove: make it a folder. "
            "For large data on another disk, move DVC's cache there: dvc cache dir"
        )
    for name in paths.DATA_SETS if params.data.source == "custom" else ():
        for address in filter(custom.is_local, getattr(params.data, name).urls):
            local_files.exists(address)


def pin_sha256(name: str, sha256: str) -> None:
    """Writes `data.<name>.sha256` into params.yaml, and changes no other byte of it."""
    changed = editing.set_values(paths.PARAMS.read_bytes().decode("utf-8"), {_key(name): sha256})
    with files.atomic(paths.PARAMS) as beside:
        beside.write_bytes(changed.encode("utf-8"))


def _key(name: str) -> editing.Key:
    return "data", name, "sha256"
