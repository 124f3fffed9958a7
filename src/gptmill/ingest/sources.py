"""Public files, from a mirror if there is one, else from their public address; checked by SHA-256 either way.

`GPTMILL_MIRROR` is a folder or an http(s) prefix with the files under their `mirror` names. Downloads are cached under
their hash: each file is downloaded once, by one process at a time, and a partial download is resumed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gptmill.config.schema import Params
from gptmill.core import addresses, files
from gptmill.core.errors import GptmillError, Unavailable
from gptmill.ingest import archives, download, download_cache


@dataclass(frozen=True)
class Source:
    """A public file: its address, hash and licence."""

    name: str
    url: str
    sha256: str
    licence: str
    mirror: str  # its name in a mirror
    member: str | None = None  # the file's name inside the archive at `url`
    archive_sha256: str | None = None
    size: int | None = None  # bytes that `url` sends, where known: the limit of a download

    @property
    def largest(self) -> int:
        """A generous bound of the unpacked file, in bytes."""
        return 100 * (self.size or 1 << 30)

    @property
    def origin(self) -> str:
        return f"{self.url}#{self.member}" if self.member else self.url


_BOOK = "https://raw.githubusercontent.com/rasbt/LLMs-from-scratch/main"
_GPT2 = "https://openaipublic.blob.core.windows.net/gpt-2/encodings/main"

CORPUS = Source(
    name="The Verdict, Edith Wharton, 1908",
    url=f"{_BOOK}/ch02/01_main-chapter-code/the-verdict.txt",
    sha256="b41e41a68f0398a3154ae69e2e4c0e2694e17fe0d66730536837f1b01935b31f",
    licence="public domain",
    mirror="the-verdict.txt",
    size=20_479,
)
SPAM = Source(
    name="SMS Spam Collection, UCI dataset 228",
    url="https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
    sha256="7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d",
    licence="CC BY 4.0",
    mirror="SMSSpamCollection",
    member="SMSSpamCollection",
    archive_sha256="1587ea43e58e82b14ff1f5425c88e17f8496bfcdb67a583dbff9eefaf9963ce3",
    size=203_415,
)
INSTRUCTIONS = Source(
    name="instruction data of Build a Large Language Model (From Scratch)",
    url=f"{_BOOK}/ch07/01_main-chapter-code/instruction-data.json",
    sha256="7e09a9af353722ca15c18bc580f093f9c39d3178335a75177319cb1e1d163944",
    licence="Apache 2.0",
    mirror="instruction-data.json",
    size=203_524,
)
BOOK = {"corpus": CORPUS, "spam": SPAM, "instructions": INSTRUCTIONS}
GPT2_VOCABULARY = Source(
    name="GPT-2's vocabulary",
    url=f"{_GPT2}/encoder.json",
    sha256="196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    licence="MIT",
    mirror="gpt2/encoder.json",
    size=1_042_301,
)


def _gpt2(size: str, repository: str, revision: str, sha256: str, size_in_bytes: int) -> Source:
    return Source(
        name=f"GPT-2 {size}",
        url=f"https://huggingface.co/openai-community/{repository}/resolve/{revision}/model.safetensors",
        sha256=sha256,
        licence="MIT",
        mirror=f"gpt2/{size}/model.safetensors",
        size=size_in_bytes,
    )


# Size, repository, revision, SHA-256, bytes. gpt2-xl: a bound (6,431,829,962 and some padding); the hash decides.
GPT2_WEIGHTS = {f"gpt2-{row[0]}": _gpt2(*row) for row in (
    ("124M", "gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e",
     "248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707", 548_105_171),
    ("355M", "gpt2-medium", "6dcaa7a952f72f9298047fd5137cd6e4f05f41da",
     "fc5a354a19255ad494f3d71549390baca1ccf61d1d822b9408971705c687c9cd", 1_519_984_962),
    ("774M", "gpt2-large", "32b71b12589c2f8d625668d2335a01cac3249519",
     "5f47f3e12f91cd33b662ce7e433b6150ad5512b5884a2cee961b50e9c3bbebce", 3_247_159_078),
    ("1558M", "gpt2-xl", "15ea56dee5df4983c59b2538573817e1667135e2",
     "0f8b28eb05a8075f48b61b6f35332978c74fc7763fa9fb4051a1c30511736a6a", 6_431_900_000),
)}  # fmt: skip


def fetch(source: Source, *, refresh: bool = False) -> Path:
    """The path of the file, from the mirror, the cache or the network, in that order: read it, don't move it.

    `refresh`: download it even when it is cached.
    Raises `GptmillError` when it can't be downloaded, or is not the published file.
    """
    mirror = download.mirror()
    if isinstance(mirror, Path) and (path := mirror / source.mirror).is_file():
        advice = "Replace the file, or unset GPTMILL_MIRROR to use the public one"
        _check(path, source.sha256, f"{source.mirror} in the mirror", advice)
        return path
    if not refresh and (cached := download_cache.find(source.sha256)):
        return cached
    with download_cache.entry(source.sha256, source.name) as cached:
        if refresh or not download_cache.find(source.sha256):  # another process may have just finished it
            _fill_entry(source, f"{mirror}/{source.mirror}" if isinstance(mirror, str) else None, cached)
    return cached


def _fill_entry(source: Source, mirror: str | None, to: Path) -> None:
    """Downloads the file into its cache entry. `mirror` is its address in the mirror."""
    if mirror:
        try:
            _download(mirror, to, source, source.sha256, limit=None, is_mirror=True)
            return
        except download.NotFound:
            pass  # try the public address, as for a folder without the file
    if not source.member:
        _download(source.url, to, source, source.sha256, source.size)
        return
    with download_cache.entry(source.archive_sha256 or f"{source.sha256}.zip", source.name) as archive:
        _download(source.url, archive, source, source.archive_sha256, source.size)
        _extract(archive, source, to)


def needs_network(params: Params) -> bool:
    """Whether a run downloads anything."""
    urls = [url for name in BOOK for url in getattr(params.data, name).urls]
    custom = params.data.source == "custom" and any(map(addresses.is_remote, urls))
    return custom or params.data.source == "book" or params.tokenizer.ranks == "gpt2" or params.base.init != "scratch"


def source_record(name: str, origin: str, licence: str, path: Path) -> dict[str, Any]:
    """The content of `data/raw/<name>.source.json` for the file at `path`."""
    size = path.stat().st_size
    return {"name": name, "origin": origin, "licence": licence, "sha256": files.digest(path), "bytes": size}


def _check(path: Path, expected: str, what: str, advice: str) -> None:
    actual = files.digest(path)
    if actual != expected:
        raise GptmillError(f"{what} has SHA-256 {actual}, not {expected}. {advice}.")


def _download(
    url: str, to: Path, source: Source, expected: str | None, limit: int | None, *, is_mirror: bool = False
) -> None:
    try:
        download.download(url, to, source.name, expected, limit)
    except download.ChecksumMismatch as error:
        raise GptmillError(
            f"the file from {addresses.redact_url(url)} has SHA-256 {error}, not {expected}. "
            "It is not the published file; it was deleted."
        ) from None
    except download.SizeLimitExceeded:
        raise GptmillError(
            f"{addresses.redact_url(url)} sends more than the {limit:,} bytes that {source.name} has: "
            "it is not the published file."
        ) from None
    except download.DownloadError as error:
        if is_mirror and isinstance(error, download.NotFound):
            raise
        message = f"{source.name} could not be downloaded from {addresses.redact_url(url)} ({error}). {download.ADVICE}"
        raise (Unavailable if error.is_transient else GptmillError)(message) from None


def _extract(archive: Path, source: Source, to: Path) -> None:
    with download_cache.scratch() as scratch, download_cache.cache_errors():
        try:
            [plain] = archives.unpack(archive, source.name, source.member or "", False, source.largest, scratch)
        except GptmillError as error:
            archive.unlink(missing_ok=True)
            problem = f"the downloaded archive has no readable {source.member}: {error}"
            raise GptmillError(f"{problem}. Run it again for a new download.") from None
        advice = "The public file has changed: compare it before you trust it"
        _check(plain.path, source.sha256, f"{source.member} of {source.url}", advice)
        plain.path.replace(to)
