"""`gptmill data refresh`: asks where the data came from whether it has changed. For people, and for runs on a schedule.

Only a real change touches anything: the new hash goes into params.yaml, and the next `dvc repro` runs the download and what depends on it.
"""

from collections.abc import Iterator

from gptmill import files, paths
from gptmill import params as params_file
from gptmill.data import custom, sources
from gptmill.errors import GptmillError
from gptmill.params import Params


def refresh(params: Params, name: str | None = None) -> Iterator[str]:
    """What to tell of each data set, one after the other.

    Raises `GptmillError` when there is no data set of that name, when upstream can't be had, or when one of the book's files has changed.
    """
    if name is not None and name not in sources.BOOK:
        raise GptmillError(f"there is no data set {name}; there are {', '.join(sources.BOOK)}")
    for one in sources.BOOK if name is None else [name]:
        wanted = custom.Wanted.of(one, params.data)
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
        raise GptmillError(f"{name}: {error} The book's numbers belong to the published bytes, so there is nothing to accept.") from None
    return f"{name}: unchanged, {source.sha256} as published."


def _custom(wanted: custom.Wanted) -> str:
    record = custom.known(paths.source_record(wanted.name))
    old = wanted.sha256 or (record or {}).get("fetched", {}).get("sha256")
    if not old:
        return f"{wanted.name}: not fetched yet. `dvc repro` does it."
    fetched = custom.look(wanted)
    if fetched.sha256 == old:
        return f"{wanted.name}: unchanged, {old} from {fetched.origin}."
    pin(wanted.name, fetched.sha256)
    return (
        f"{wanted.name}: {fetched.origin} has changed: {old} -> {fetched.sha256}. "
        f"data.{wanted.name}.sha256 in {paths.PARAMS} is the new one now; `dvc repro` runs what depends on it."
    )


def pin(name: str, sha256: str) -> None:
    """Writes `data.<name>.sha256` into params.yaml, and changes no other byte of it."""
    from ruamel.yaml import YAML

    text = paths.PARAMS.read_bytes().decode("utf-8")
    node = YAML().compose(text)
    for key in ("data", name, "sha256"):
        node = next((value for found, value in getattr(node, "value", ()) if getattr(found, "value", None) == key), None)
    # What stands there is a scalar on one line, or something that was not written by hand.
    if node is None or not isinstance(node.value, str) or node.start_mark.line != node.end_mark.line:
        raise GptmillError(f"data.{name}.sha256 can't be found in {paths.PARAMS} as it is written: set it to {sha256} yourself.")
    changed = f'{text[: node.start_mark.index]}"{sha256}"{text[node.end_mark.index :]}'
    with files.atomic(paths.PARAMS) as beside:
        beside.write_bytes(changed.encode("utf-8"))
        if getattr(params_file.load(beside).data, name).sha256 != sha256:
            raise GptmillError(f"data.{name}.sha256 can't be changed in {paths.PARAMS} as it is written: set it to {sha256} yourself.")
