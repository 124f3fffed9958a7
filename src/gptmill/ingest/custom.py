"""Custom data: fetched from the first source that answers, checked, unpacked, and written as one plain file."""

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from gptmill.config.data import DataParams
from gptmill.core import addresses, files
from gptmill.core.addresses import is_remote
from gptmill.core.errors import GptmillError, Unavailable
from gptmill.data import text_files
from gptmill.ingest import archives, concat, download, download_cache, local_files, s3, sources
from gptmill.ingest.archives import UnpackedFile

NAMES_SHOWN = 5


@dataclass(frozen=True)
class SourceSpec:
    """The source of a data set as in params.yaml; `name` is corpus, spam or instructions."""

    name: str
    file: str
    urls: Sequence[str]
    member: str
    sha256: str
    licence: str
    max_megabytes: int

    @classmethod
    def of(cls, name: str, params: DataParams) -> "SourceSpec":
        section = getattr(params, name)
        return cls(name, *(getattr(section, field.name) for field in fields(cls)[1:]))

    @property
    def limit(self) -> int:
        return self.max_megabytes << 20

    @property
    def several(self) -> bool:
        """Whether it may consist of several files."""
        return self.name == "corpus"

    @property
    def extension(self) -> str:
        return self.file.rpartition(".")[2]


@dataclass(frozen=True)
class FetchResult:
    """Files as fetched, not unpacked, and the SHA-256 of the file, or of the `sha256sum` list of several."""

    address: str
    parts: list[UnpackedFile]
    sha256: str
    bytes: int

    @property
    def origin(self) -> str:
        return addresses.redact_url(self.address)


def fetch(spec: SourceSpec, to: Path, previous: dict[str, Any] | None) -> dict[str, Any]:
    """Writes the file to `to`, and returns its source record. `previous` is the record of the last download, if any.

    Raises `GptmillError` when no source answers, when the download is not as specified or not data, and when an address
    without a `sha256` sends other bytes than last time.
    """
    with download_cache.scratch() as scratch, files.atomic(to) as tmp:
        fetched = _fetch(spec, scratch)
        if not spec.sha256:
            _refuse_change(spec, fetched, previous)
        unpacked = _unpack(spec, fetched, scratch)
        if len(unpacked) == 1:
            shutil.copyfile(unpacked[0].path, tmp)
        else:
            concat.concat_files(unpacked, spec.extension, tmp, spec.limit)
        return _record(spec, fetched, unpacked, tmp)


def probe(spec: SourceSpec) -> FetchResult:
    """Fetches and unpacks the source as it is now, whatever `sha256` says, and saves nothing."""
    with download_cache.scratch() as scratch:
        fetched = _fetch(replace(spec, sha256=""), scratch)
        _unpack(spec, fetched, scratch)
        return fetched


def probe_local(spec: SourceSpec, previous: dict[str, Any] | None) -> FetchResult | None:
    """What a download would take from local paths now, without asking a server; None when a server decides.

    A path listed after a server counts only when the last download took it (`previous`).
    """
    usable, after_server = [], False
    for address in spec.urls:
        if is_remote(address):
            after_server = True
        elif local_files.exists(address) and (not after_server or address == (previous or {}).get("origin")):
            usable.append(address)
    return _fetch(replace(spec, urls=usable, sha256=""), Path()) if usable else None


def _record(spec: SourceSpec, fetched: FetchResult, unpacked: list[UnpackedFile], path: Path) -> dict[str, Any]:
    record = sources.source_record(addresses.file_name(fetched.address), fetched.origin, spec.licence, path)
    record["fetched"] = {"sha256": fetched.sha256, "bytes": fetched.bytes}
    if spec.member:
        record["member"] = spec.member
    if len(unpacked) > 1:
        record["files"] = [
            {"name": one.name, "sha256": files.digest(one.path), "bytes": one.path.stat().st_size} for one in unpacked
        ]
    return record


def read_source_record(path: Path) -> dict[str, Any] | None:
    """The source record of the last download; None without a readable one."""
    try:
        record = files.read_json(path)
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("fetched"), dict) else None


def _refuse_change(spec: SourceSpec, fetched: FetchResult, previous: dict[str, Any] | None) -> None:
    """A server's file may not change unnoticed. A path is the user's own: its file is taken as it is."""
    old = (previous or {}).get("fetched", {}).get("sha256")
    if old and is_remote(fetched.address) and previous.get("origin") == fetched.origin and old != fetched.sha256:
        raise GptmillError(
            f"{spec.name}: {fetched.origin} has changed: its SHA-256 was {old} and is {fetched.sha256}. "
            f"If that is right, accept it: gptmill data refresh {spec.name}"
        )


# --- fetching ---


def _fetch(spec: SourceSpec, scratch: Path) -> FetchResult:
    """From the first source that answers. Raises `GptmillError` with the reason of each failure."""
    failures, transient = [], False
    for address in spec.urls:
        try:
            fetched = _fetch_remote(spec, address, scratch) if is_remote(address) else _fetch_local(spec, address)
            _refuse_pages(fetched)
        except download.DownloadError as error:
            failures.append(f"{addresses.redact_url(address)}: {error}")
            transient |= is_remote(address) and error.is_transient
            continue
        except download.ChecksumMismatch as actual:
            raise _mismatch(spec, address, str(actual)) from None
        except download.SizeLimitExceeded:
            raise GptmillError(
                f"{spec.name}: {addresses.redact_url(address)} has more than the {spec.max_megabytes:,} MB "
                f"that data.{spec.name}.max_megabytes allows: raise it if that is right."
            ) from None
        if spec.sha256 and fetched.sha256 != spec.sha256:
            raise _mismatch(spec, address, fetched.sha256)
        return fetched
    advice = f"Check data.{spec.name}.urls in params.yaml"
    if any(map(is_remote, spec.urls)):
        advice += f" and the network, or point GPTMILL_MIRROR at a folder that has {spec.file}"
    error = Unavailable if transient else GptmillError
    if len(failures) == 1:
        raise error(f"{spec.name} could not be fetched from {failures[0]}. {advice}.")
    reasons = "".join(f"  {failure}\n" for failure in failures)
    raise error(f"{spec.name} could not be fetched from any of its addresses:\n{reasons}{advice}.")


def _mismatch(spec: SourceSpec, address: str, actual: str) -> GptmillError:
    return GptmillError(
        f"{spec.name}: {addresses.redact_url(address)} has SHA-256 {actual}, "
        f"not {spec.sha256} as data.{spec.name}.sha256 says. "
        f"If the new one is right, accept it: gptmill data refresh {spec.name}"
    )


def _fetch_remote(spec: SourceSpec, address: str, scratch: Path) -> FetchResult:
    mirror = download.mirror()
    if isinstance(mirror, Path) and (path := mirror / spec.file).is_file():
        return _single(address, path)
    if spec.sha256 and (cached := download_cache.find(spec.sha256)):
        return _single(address, cached)
    if isinstance(mirror, str):
        try:
            return _single(address, _download(spec, f"{mirror}/{spec.file}", scratch))
        except download.NotFound:
            pass
    if addresses.scheme(address) == "s3":
        return _fetch_s3(spec, address, scratch)
    return _single(address, _download(spec, address, scratch))


def _download(spec: SourceSpec, address: str, scratch: Path) -> Path:
    """A pinned file stays in the cache under its hash, for all processes; of others, only a partial download does."""
    name = spec.sha256 or f"address-{hashlib.sha256(address.encode()).hexdigest()[:32]}"
    with download_cache.entry(name, spec.name) as path:
        if spec.sha256 and download_cache.find(spec.sha256):  # another process has just finished it
            return path
        refuse_pages = spec.extension != "txt"
        download.download(address, path, spec.name, spec.sha256 or None, spec.limit, refuse_pages=refuse_pages)
        return path if spec.sha256 else path.replace(scratch / "fetched")


def _fetch_s3(spec: SourceSpec, address: str, scratch: Path) -> FetchResult:
    parts, left = [], spec.limit
    for number, key in enumerate(_select(spec, address, s3.find(address), str)):
        to = scratch / f"fetched-{number}"
        s3.download(key, to, spec.name, left)
        left -= to.stat().st_size
        parts.append(UnpackedFile(key.removeprefix("s3://").partition("/")[2], to))
    return _single(address, parts[0].path) if len(parts) == 1 else _several(address, parts)


def _fetch_local(spec: SourceSpec, address: str) -> FetchResult:
    try:
        place, paths = local_files.find(address)
        if place.is_dir() or len(paths) > 1:
            paths = _select(spec, address, paths, lambda path: path.name)
        base = place if place.is_dir() else Path(os.path.commonpath([path.parent for path in paths]))
        if sum(path.stat().st_size for path in paths) > spec.limit:
            raise download.SizeLimitExceeded
        if len(paths) == 1:
            return _single(address, paths[0])
        return _several(address, [UnpackedFile(path.relative_to(base).as_posix(), path) for path in paths])
    except PermissionError as error:
        raise GptmillError(f"{error.filename} can't be read: you have no permission to.") from None
    except OSError as error:
        raise GptmillError(f"{error.filename or address} can't be read: {error.strerror or error}.") from None


def _select(spec: SourceSpec, address: str, candidates: list, name: Callable) -> list:
    """Of a folder or a glob: the files of the data set's format, packed or not. A data set of records has one."""
    if len(candidates) > 1:
        names = [name(one).rpartition("/")[2] for one in candidates]
        endings = tuple(f".{spec.extension}{packed}" for packed in ("", ".gz", ".zst", ".zip"))
        candidates = [one for one in candidates if name(one).lower().endswith(endings)]
        if not candidates:
            raise download.DownloadError(
                f"none of its {len(names)} files ends in .{spec.extension}; it has {_listed(names)}"
            )
    if not candidates:
        raise download.NotFound("there is no file in it")
    if len(candidates) > 1 and not spec.several:
        raise GptmillError(
            f"{spec.name}: {addresses.redact_url(address)} names {len(candidates)} files "
            f"({_listed([name(one) for one in candidates])}): name one of them in data.{spec.name}.urls. "
            "Only the corpus may have several."
        )
    return candidates


def _single(address: str, path: Path) -> FetchResult:
    part = UnpackedFile(addresses.file_name(address), path)
    return FetchResult(address, [part], files.digest(path), path.stat().st_size)


def _several(address: str, parts: list[UnpackedFile]) -> FetchResult:
    lines = "".join(f"{files.digest(part.path)}  {part.name}\n" for part in parts)
    size = sum(part.path.stat().st_size for part in parts)
    return FetchResult(address, parts, hashlib.sha256(lines.encode()).hexdigest(), size)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


# --- unpacking ---


def _refuse_pages(fetched: FetchResult) -> None:
    if any(text_files.is_html_or_xml(part.path) for part in fetched.parts):
        remote = "the server sends an HTML or XML page, not data: is it a log-in or an error page?"
        raise download.DownloadError(remote if is_remote(fetched.address) else "it is an HTML or XML page, not data")


def _unpack(spec: SourceSpec, fetched: FetchResult, scratch: Path) -> list[UnpackedFile]:
    """All files of a fetch, unpacked."""
    unpacked: list[UnpackedFile] = []
    left, single = spec.limit, len(fetched.parts) == 1
    for number, part in enumerate(fetched.parts):
        folder = scratch / f"unpacked-{number}"
        folder.mkdir()
        member = spec.member if single or archives.detect_format(part.path) in ("zip", "tar") else ""
        try:
            new = archives.unpack(part.path, part.name, member, spec.several, max(left, 0), folder)
        except GptmillError as error:
            where = fetched.origin if single else f"{part.name} of {fetched.origin}"
            raise GptmillError(f"{spec.name}: {where} can't be used: {error}.") from None
        unpacked += new
        left -= sum(one.path.stat().st_size for one in new)
    for one in unpacked:
        if text_files.is_html_or_xml(one.path):
            raise GptmillError(f"{spec.name}: {one.name} of {fetched.origin} is an HTML or XML page, not data.")
    if len(unpacked) == 1 and unpacked[0].path.stat().st_size == 0:
        raise GptmillError(f"{spec.name}: {fetched.origin} is empty: there is nothing to learn from.")
    return unpacked
