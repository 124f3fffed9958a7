"""`gptmill data refresh`: checks whether the data has changed at its source. For people and for scheduled runs.

Only a change writes anything: the new hash goes into params.yaml, and the next `dvc repro` downloads the data again.
"""

from collections.abc import Iterator
from itertools import filterfalse

from gptmill import config as params_file
from gptmill.config import editing, source_overlaps
from gptmill.config.schema import Params
from gptmill.core import addresses, files, paths
from gptmill.core.errors import GptmillError
from gptmill.ingest import custom, local_files, sources


def refresh(params: Params, name: str | None = None) -> Iterator[str]:
    """Yields a message for each data set.

    Raises `GptmillError` for an unknown data set, a source that does not answer, or a changed file of the book.
    """
    for one in _named(name):
        spec = custom.SourceSpec.of(one, params.data)
        if params.data.source == "book":
            yield _book(one)
        elif params.data.source == "custom" and spec.urls:
            yield _custom(spec)
        else:
            yield f"{one}: the embedded sample; there is nothing upstream."


def _book(name: str) -> str:
    source = sources.BOOK[name]
    try:
        sources.fetch(source, refresh=True)
    except GptmillError as error:
        reason = "The book's numbers belong to the published bytes, so there is nothing to accept."
        raise GptmillError(f"{name}: {error} {reason}") from None
    return f"{name}: unchanged, {source.sha256} as published."


def _custom(spec: custom.SourceSpec) -> str:
    record = custom.read_source_record(paths.source_record(spec.name))
    old = spec.sha256 or (record or {}).get("fetched", {}).get("sha256")
    if not old:
        return f"{spec.name}: not downloaded yet; `dvc repro` does it."
    fetched = custom.probe(spec)
    if fetched.sha256 == old:
        return f"{spec.name}: unchanged, {old} from {fetched.origin}."
    change = f"{spec.name}: {fetched.origin} has changed: {old} -> {fetched.sha256}."
    if not spec.sha256 and _is_dependency(fetched, spec.name):
        return f"{change} `dvc repro` runs what depends on it."
    pin_sha256(spec.name, fetched.sha256)
    return f"{change} Pinned as data.{spec.name}.sha256 in {paths.PARAMS}; `dvc repro` runs what depends on it."


def refresh_local(params: Params, name: str | None = None) -> Iterator[str]:
    """Pins changed files at local paths; yields a message for each. No server is asked."""
    for one, fetched in changed_local_sources(params, name).items():
        pin_sha256(one, fetched.sha256)
        old = getattr(params.data, one).sha256
        change = f"has changed: {old} ->" if old else "is"
        yield f"{one}: {fetched.origin} {change} {fetched.sha256}, pinned as data.{one}.sha256."


def with_pinned_hashes(text: str) -> str:
    """The text of a params file, with changed files at local paths pinned in it."""
    changed = changed_local_sources(params_file.parse(text))
    return editing.set_values(text, {_key(name): fetched.sha256 for name, fetched in changed.items()})


def changed_local_sources(params: Params, name: str | None = None) -> dict[str, custom.FetchResult]:
    """Data set -> its files at a local path, when their hash has to be pinned for DVC to see the change.

    DVC knows a path outside data/sources/<set> by `data.<set>.sha256` alone: without it, DVC's cache would restore the
    old version of a file that was edited in place. A pinned hash follows the file anywhere: a path is the user's own.
    """
    result = {}
    for one in _named(name) if params.data.source == "custom" else ():
        spec = custom.SourceSpec.of(one, params.data)
        fetched = custom.probe_local(spec, custom.read_source_record(paths.source_record(one)))
        if fetched and fetched.sha256 != spec.sha256 and (spec.sha256 or not _is_dependency(fetched, one)):
            result[one] = fetched
    return result


def _is_dependency(fetched: custom.FetchResult, name: str) -> bool:
    files = [part.path for part in fetched.parts]
    return not addresses.is_remote(fetched.address) and local_files.are_dvc_dependencies(files, name)


def _named(name: str | None) -> tuple[str, ...]:
    if name is not None and name not in paths.DATA_SETS:
        raise GptmillError(f"unknown data set {name}; known are {', '.join(paths.DATA_SETS)}")
    return paths.DATA_SETS if name is None else (name,)


def check_local(params: Params) -> None:
    """Raises `GptmillError` when a local path leads into the project's outputs, or an output out of the project."""
    for folder, target in source_overlaps.outside_links():
        raise GptmillError(
            f"{folder} leads out of the project, to {target}, where runs would write and remove: make it a folder. "
            "For large data on another disk, move DVC's cache there: dvc cache dir"
        )
    for name in paths.DATA_SETS if params.data.source == "custom" else ():
        for address in filterfalse(addresses.is_remote, getattr(params.data, name).urls):
            local_files.exists(address)


def pin_sha256(name: str, sha256: str) -> None:
    """Writes `data.<name>.sha256` into params.yaml, and changes no other byte of it."""
    changed = editing.set_values(paths.PARAMS.read_bytes().decode("utf-8"), {_key(name): sha256})
    with files.atomic(paths.PARAMS) as tmp:
        tmp.write_bytes(changed.encode("utf-8"))


def _key(name: str) -> editing.Key:
    return "data", name, "sha256"
