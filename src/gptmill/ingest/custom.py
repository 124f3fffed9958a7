"""One's own data: fetched from the first of its addresses that answers, checked, unpacked, and written as one plain file."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gptmill.config.data import DataParams
from gptmill.core import addresses, files
from gptmill.core.errors import GptmillError, Unavailable
from gptmill.data import text_files
from gptmill.ingest import archives, concat, download, download_cache, local_files, s3
from gptmill.ingest.archives import UnpackedFile

NAMES_SHOWN = 5


@dataclass(frozen=True)
class SourceSpec:
    """What params.yaml says of a data set's source; `name` is corpus, spam or instructions."""

    name: str
    file: str
    urls: tuple[str, ...]
    member: str
    sha256: str
    licence: str
    max_megabytes: int

    @classmethod
    def of(cls, name: str, params: DataParams) -> "SourceSpec":
        section = getattr(params, name)
        return cls(
            name,
            section.file,
            tuple(section.urls),
            section.member,
            section.sha256,
            section.licence,
            section.max_megabytes,
        )

    @property
    def limit(self) -> int:
        return self.max_megabytes << 20

    @property
    def several(self) -> bool:
        """Whether it may be made of many files."""
        return self.name == "corpus"

    @property
    def extension(self) -> str:
        return self.file.rpartition(".")[2]


@dataclass(frozen=True)
class FetchResult:
    """What an address gave: files as they were there, and the SHA-256 of the file, or of `sha256sum`'s list when there are many."""

    address: str
    parts: list[UnpackedFile]
    sha256: str
    bytes: int

    @property
    def origin(self) -> str:
        return addresses.redact_url(self.address)


def fetch(wanted: SourceSpec, to: Path, before: dict[str, Any] | None) -> dict[str, Any]:
    """Writes the file to `to`, and returns what source.json says of it. `before` is what it said after the last time, if there was one.

    Raises `GptmillError` when no address answers, when what comes is not what was wanted or is no data, and when an address without
    a `sha256` gives other bytes than before.
    """
    with download_cache.scratch() as scratch, files.atomic(to) as beside:
        fetched = _fetch(wanted, scratch)
        if not wanted.sha256:
            _refuse_change(wanted, fetched, before)
        plain = _unpack(wanted, fetched, scratch)
        if len(plain) == 1:
            shutil.copyfile(plain[0].path, beside)
        else:
            concat.concat_files(plain, wanted.extension, beside, wanted.limit)
        return _record(wanted, fetched, plain, beside)


def probe(wanted: SourceSpec) -> FetchResult:
    """What is there now, fetched and unpacked as `bring` does it, whatever `sha256` says; nothing of it is kept."""
    with download_cache.scratch() as scratch:
        fetched = _fetch(replace(wanted, sha256=""), scratch)
        _unpack(wanted, fetched, scratch)
        return fetched


def probe_local(wanted: SourceSpec, before: dict[str, Any] | None) -> FetchResult | None:
    """What is at its paths now, if a download would take it from there: no server is asked, and none stands before them.

    One that stands behind a server counts when the last download took it (`before`). None: nothing is there, or a server decides.
    """
    here, asked = [], False
    for address in wanted.urls:
        asked |= not is_local(address)
        if is_local(address) and local_files.exists(address) and (not asked or address == (before or {}).get("origin")):
            here.append(address)
    return _fetch(replace(wanted, urls=tuple(here), sha256=""), Path()) if here else None


def _record(wanted: SourceSpec, fetched: FetchResult, plain: list[UnpackedFile], path: Path) -> dict[str, Any]:
    record = {
        "name": addresses.file_name(fetched.address),
        "origin": fetched.origin,
        "licence": wanted.licence,
        "sha256": files.digest(path),
        "bytes": path.stat().st_size,
        "fetched": {"sha256": fetched.sha256, "bytes": fetched.bytes},
    }
    if wanted.member:
        record["member"] = wanted.member
    if len(plain) > 1:
        record["files"] = [
            {"name": one.name, "sha256": files.digest(one.path), "bytes": one.path.stat().st_size} for one in plain
        ]
    return record


def read_source_record(path: Path) -> dict[str, Any] | None:
    """What source.json said after the last time; None when there is none that can be read."""
    try:
        record = files.read_json(path)
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("fetched"), dict) else None


def is_local(address: str) -> bool:
    return not download.is_remote(address)


def _refuse_change(wanted: SourceSpec, fetched: FetchResult, before: dict[str, Any] | None) -> None:
    """Upstream may change its bytes, but not unnoticed. A path is the user's own: what is there is taken."""
    known = (before or {}).get("fetched", {}).get("sha256")
    if known and not is_local(fetched.address) and before.get("origin") == fetched.origin and known != fetched.sha256:
        raise GptmillError(
            f"{wanted.name}: {fetched.origin} has changed: its SHA-256 was {known} and is {fetched.sha256}. "
            f"If that is right, accept it: gptmill data refresh {wanted.name}"
        )


# --- fetching ---


def _fetch(wanted: SourceSpec, scratch: Path) -> FetchResult:
    """From the first address that can be had. Raises `GptmillError` that says why each of them could not."""
    failed, is_transient = [], False
    for address in wanted.urls:
        try:
            fetched = _fetch_local(wanted, address) if is_local(address) else _fetch_remote(wanted, address, scratch)
            _refuse_pages(fetched)
        except download.DownloadError as problem:
            failed.append(f"{addresses.redact_url(address)}: {problem}")
            is_transient |= not is_local(address) and problem.is_transient
            continue
        except download.ChecksumMismatch as actual:
            raise _differs(wanted, address, str(actual)) from None
        except download.SizeLimitExceeded:
            raise GptmillError(
                f"{wanted.name}: {addresses.redact_url(address)} has more than the {wanted.max_megabytes:,} MB "
                f"that data.{wanted.name}.max_megabytes allows: raise it if that is right."
            ) from None
        if wanted.sha256 and fetched.sha256 != wanted.sha256:
            raise _differs(wanted, address, fetched.sha256)
        return fetched
    advice = f"Check data.{wanted.name}.urls in params.yaml"
    if not all(map(is_local, wanted.urls)):
        advice += f" and the network, or point GPTMILL_MIRROR at a folder that has {wanted.file}"
    error = Unavailable if is_transient else GptmillError
    if len(failed) == 1:
        raise error(f"{wanted.name} could not be fetched from {failed[0]}. {advice}.")
    raise error(
        "\n".join(
            [
                f"{wanted.name} could not be fetched from any of its addresses:",
                *(f"  {why}" for why in failed),
                f"{advice}.",
            ]
        )
    )


def _differs(wanted: SourceSpec, address: str, actual: str) -> GptmillError:
    return GptmillError(
        f"{wanted.name}: {addresses.redact_url(address)} has SHA-256 {actual}, not {wanted.sha256} as data.{wanted.name}.sha256 says. "
        f"If the new one is right, accept it: gptmill data refresh {wanted.name}"
    )


def _fetch_remote(wanted: SourceSpec, address: str, scratch: Path) -> FetchResult:
    mirror = download.mirror()
    if isinstance(mirror, Path) and (path := mirror / wanted.file).is_file():
        return _one(address, path)
    if wanted.sha256 and (cached := download_cache.find(wanted.sha256)):
        return _one(address, cached)
    if isinstance(mirror, str):
        try:
            return _one(address, _download(wanted, f"{mirror}/{wanted.file}", scratch))
        except download.NotFound:
            pass
    if addresses.scheme(address) == "s3":
        return _fetch_s3(wanted, address, scratch)
    return _one(address, _download(wanted, address, scratch))


def _download(wanted: SourceSpec, address: str, scratch: Path) -> Path:
    """A pinned file stays in the cache, under its hash, for every process; of others only what a broken download left does."""
    name = wanted.sha256 or f"address-{hashlib.sha256(address.encode()).hexdigest()[:32]}"
    with download_cache.entry(name, wanted.name) as path:
        if wanted.sha256 and download_cache.find(wanted.sha256):  # another process has just finished it
            return path
        refuse_pages = wanted.extension != "txt"
        download.download(address, path, wanted.name, wanted.sha256 or None, wanted.limit, refuse_pages=refuse_pages)
        return path if wanted.sha256 else path.replace(scratch / "fetched")


def _fetch_s3(wanted: SourceSpec, address: str, scratch: Path) -> FetchResult:
    found = s3.find(address)
    found = _only(wanted, address, found, str)
    parts, left = [], wanted.limit
    for number, one in enumerate(found):
        to = scratch / f"fetched-{number}"
        s3.download(one, to, wanted.name, left)
        left -= to.stat().st_size
        parts.append(UnpackedFile(one.removeprefix("s3://").partition("/")[2], to))
    return _one(address, parts[0].path) if len(parts) == 1 else _many(address, parts)


def _fetch_local(wanted: SourceSpec, address: str) -> FetchResult:
    try:
        place, found = local_files.find(address)
        chosen = _only(wanted, address, found, lambda path: path.name) if place.is_dir() or len(found) > 1 else found
        base = place if place.is_dir() else Path(os.path.commonpath([path.parent for path in chosen]))
        if sum(path.stat().st_size for path in chosen) > wanted.limit:
            raise download.SizeLimitExceeded
        if len(chosen) == 1:
            return _one(address, chosen[0])
        return _many(address, [UnpackedFile(path.relative_to(base).as_posix(), path) for path in chosen])
    except PermissionError as error:
        raise GptmillError(f"{error.filename} can't be read: you have no permission to.") from None
    except OSError as error:
        raise GptmillError(f"{error.filename or address} can't be read: {error.strerror or error}.") from None


def _only(wanted: SourceSpec, address: str, found: list, name: Callable) -> list:
    """Of a folder or a glob: the files that are of the data set's kind, packed or not. A data set of records has one."""
    if len(found) > 1:
        kinds = (wanted.extension, *(f"{wanted.extension}.{packed}" for packed in ("gz", "zst", "zip")))
        found_names = [name(one).rpartition("/")[2] for one in found]
        found = [one for one in found if name(one).lower().endswith(tuple(f".{kind}" for kind in kinds))]
        if not found:
            raise download.DownloadError(
                f"none of its {len(found_names)} files ends in .{wanted.extension}; it has {_listed(found_names)}"
            )
    if not found:
        raise download.NotFound("there is no file in it")
    if len(found) > 1 and not wanted.several:
        listed = _listed([name(one) for one in found])
        raise GptmillError(
            f"{wanted.name}: {addresses.redact_url(address)} names {len(found)} files ({listed}): "
            f"name one of them in data.{wanted.name}.urls. Only the corpus may be made of many."
        )
    return found


def _one(address: str, path: Path) -> FetchResult:
    return FetchResult(
        address, [UnpackedFile(addresses.file_name(address), path)], files.digest(path), path.stat().st_size
    )


def _many(address: str, parts: list[UnpackedFile]) -> FetchResult:
    lines = "".join(f"{files.digest(part.path)}  {part.name}\n" for part in parts)
    return FetchResult(
        address, parts, hashlib.sha256(lines.encode()).hexdigest(), sum(part.path.stat().st_size for part in parts)
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + (
        f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    )


# --- what came ---


def _refuse_pages(fetched: FetchResult) -> None:
    for part in fetched.parts:
        if text_files.is_html_or_xml(part.path):
            what = "the server sends an HTML or XML page, not data: is it a log-in or an error page?"
            raise download.DownloadError("it is an HTML or XML page, not data" if is_local(fetched.address) else what)


def _unpack(wanted: SourceSpec, fetched: FetchResult, scratch: Path) -> list[UnpackedFile]:
    """Every file of what was fetched, unpacked."""
    plain: list[UnpackedFile] = []
    left = wanted.limit
    for number, part in enumerate(fetched.parts):
        folder = scratch / f"unpacked-{number}"
        folder.mkdir()
        where = fetched.origin if len(fetched.parts) == 1 else f"{part.name} of {fetched.origin}"
        member = wanted.member if len(fetched.parts) == 1 or archives.detect_format(part.path) in ("zip", "tar") else ""
        try:
            found = archives.unpack(part.path, part.name, member, wanted.several, max(left, 0), folder)
        except GptmillError as error:
            raise GptmillError(f"{wanted.name}: {where} can't be used: {error}.") from None
        plain += found
        left -= sum(one.path.stat().st_size for one in found)
    for one in plain:
        if text_files.is_html_or_xml(one.path):
            raise GptmillError(f"{wanted.name}: {one.name} of {fetched.origin} is an HTML or XML page, not data.")
    if any(one.path.stat().st_size == 0 for one in plain) and len(plain) == 1:
        raise GptmillError(f"{wanted.name}: {fetched.origin} is empty: there is nothing to learn from.")
    return plain
