import hashlib
import io
import re
import socket
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from gptmill.core import files
from gptmill.core.errors import GptmillError, Unavailable
from gptmill.ingest import download, sources
from gptmill.ingest.sources import Source, fetch, source_record

CONTENT = b"The Verdict\n" * 5000


def archive(member: str = "folder/data.txt", content: bytes = CONTENT) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr(member, content)
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GPTMILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(cache) -> Source:
    """A file that is nowhere."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()[1]
    url = f"http://127.0.0.1:{closed}/public/data.txt"
    return Source(
        name="the data", url=url, sha256=sha256(CONTENT), licence="MIT", mirror="texts/data.txt", size=len(CONTENT)
    )


def ranged(content: bytes, request, honour: bool = True) -> tuple[int, dict, bytes]:
    """As a server with support for Range answers."""
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if not asked or not honour:
        return 200, {}, content
    start = int(asked[1])
    if start >= len(content):
        return 416, {"Content-Range": f"bytes */{len(content)}"}, b""
    return 206, {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}, content[start:]


def kept(cache: Path) -> list[str]:
    """The cache's files. Locks stay: a process that waits for one may have it open."""
    return sorted(path.name for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_a_folder_is_asked_first_and_nothing_is_copied(source, cache, tmp_path, monkeypatch):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "data.txt").write_bytes(CONTENT)
    monkeypatch.setenv("GPTMILL_MIRROR", f"{tmp_path}/")
    assert fetch(source) == tmp_path / "texts" / "data.txt"
    assert kept(cache) == []


def test_a_wrong_file_in_the_mirror_is_refused_and_left_alone(source, tmp_path, monkeypatch):
    (tmp_path / "texts").mkdir()
    path = tmp_path / "texts" / "data.txt"
    path.write_bytes(CONTENT + b"!")
    monkeypatch.setenv("GPTMILL_MIRROR", str(tmp_path))
    with pytest.raises(
        GptmillError,
        match=f"texts/data.txt in the mirror has SHA-256 {sha256(CONTENT + b'!')}, not {source.sha256}.*unset GPTMILL_MIRROR",
    ):
        fetch(source)
    assert path.read_bytes() == CONTENT + b"!"


def test_a_folder_without_the_file_leads_to_the_public_address(source, serve, tmp_path, monkeypatch):
    server = serve(lambda request: (200, {}, CONTENT))
    monkeypatch.setenv("GPTMILL_MIRROR", str(tmp_path))
    assert fetch(replace(source, url=f"{server.url}/public/data.txt")).read_bytes() == CONTENT
    assert [request.path for request in server.requests] == ["/public/data.txt"]


def test_a_mirror_may_be_an_address(source, serve, monkeypatch):
    server = serve(lambda request: (200, {}, CONTENT))
    monkeypatch.setenv("GPTMILL_MIRROR", f"{server.url}/mirror/")
    assert fetch(source).read_bytes() == CONTENT
    assert [request.path for request in server.requests] == ["/mirror/texts/data.txt"]


def test_a_mirror_at_an_address_is_checked_too(source, cache, serve, monkeypatch):
    server = serve(lambda request: (200, {}, b"another file"))
    monkeypatch.setenv("GPTMILL_MIRROR", server.url)
    with pytest.raises(GptmillError, match="SHA-256.*It is not the published file"):
        fetch(source)
    assert kept(cache) == []


def test_a_file_is_downloaded_once(source, serve, cache):
    server = serve(lambda request: (200, {}, CONTENT))
    source = replace(source, url=f"{server.url}/data.txt")
    first = fetch(source)
    assert first.read_bytes() == CONTENT
    assert fetch(source) == first
    assert len(server.requests) == 1
    assert kept(cache) == [source.sha256]


def test_a_file_that_was_damaged_in_the_cache_is_downloaded_again(source, serve):
    server = serve(lambda request: (200, {}, CONTENT))
    source = replace(source, url=f"{server.url}/data.txt")
    fetch(source).write_bytes(b"damaged")
    assert fetch(source).read_bytes() == CONTENT
    assert len(server.requests) == 2


def test_what_is_not_the_published_file_is_refused_and_not_kept(source, cache, serve):
    server = serve(lambda request: (200, {}, CONTENT[:-1] + b"?"))
    with pytest.raises(GptmillError, match="the file from http.* has SHA-256 .*, not .*it was deleted"):
        fetch(replace(source, url=f"{server.url}/data.txt"))
    assert kept(cache) == []


def test_a_download_that_breaks_goes_on_where_it_stopped(source, serve, waits, monkeypatch):

    def answer(request):
        status, headers, body = ranged(CONTENT, request)
        if len(server.requests) < 3:  # the line breaks in the middle
            return status, headers | {"Content-Length": str(len(body))}, body[:20_000]
        return status, headers, body

    server = serve(answer)
    assert fetch(replace(source, url=f"{server.url}/data.txt")).read_bytes() == CONTENT
    assert [request.headers.get("range") for request in server.requests] == [None, "bytes=20000-", "bytes=40000-"]
    assert len(waits) == 2


def test_the_next_run_goes_on_where_the_last_one_stopped(source, cache, serve):
    cache.mkdir()
    (cache / f"{source.sha256}.part").write_bytes(CONTENT[:30_000])
    server = serve(lambda request: ranged(CONTENT, request))
    assert fetch(replace(source, url=f"{server.url}/data.txt")).read_bytes() == CONTENT
    assert [request.headers.get("range") for request in server.requests] == ["bytes=30000-"]


def test_a_server_that_cannot_go_on_sends_it_from_the_start(source, cache, serve):
    cache.mkdir()
    (cache / f"{source.sha256}.part").write_bytes(b"x" * 30_000)
    server = serve(lambda request: ranged(CONTENT, request, honour=False))
    assert fetch(replace(source, url=f"{server.url}/data.txt")).read_bytes() == CONTENT


@pytest.mark.parametrize("via_mirror", [False, True])
def test_a_download_that_was_stopped_just_before_its_end_is_finished(
    source, cache, serve, waits, monkeypatch, via_mirror
):
    cache.mkdir()
    (cache / f"{source.sha256}.part").write_bytes(CONTENT)  # all is there, but not yet under its name
    server = serve(lambda request: ranged(CONTENT, request))
    if via_mirror:
        monkeypatch.setenv("GPTMILL_MIRROR", server.url)
    assert fetch(replace(source, url=f"{server.url}/data.txt")).read_bytes() == CONTENT


def test_more_than_the_file_has_is_not_read(source, cache, serve):
    server = serve(lambda request: (200, {}, CONTENT * 100))
    with pytest.raises(GptmillError, match=f"sends more than the {len(CONTENT):,} bytes that the data has"):
        fetch(replace(source, url=f"{server.url}/data.txt"))
    assert source.sha256 not in kept(cache)
    assert sum(path.stat().st_size for path in cache.iterdir()) <= len(CONTENT)


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_page_that_is_not_there_is_not_asked_for_again(source, serve, waits, status):
    server = serve(lambda request: (status, {}, b"no"))
    with pytest.raises(
        GptmillError, match=f"(?s)the data could not be downloaded from .*{status}.*GPTMILL_MIRROR"
    ) as caught:
        fetch(replace(source, url=f"{server.url}/data.txt"))
    assert isinstance(caught.value, Unavailable) == (
        status == 403
    )  # a door that is shut may open; what is gone is gone
    assert len(server.requests) == 1 and waits == []


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_is_busy_is_asked_again(source, serve, waits, status):
    server = serve(lambda request: (status, {}, b"") if len(server.requests) < 3 else (200, {}, CONTENT))
    assert fetch(replace(source, url=f"{server.url}/data.txt")).read_bytes() == CONTENT
    assert len(server.requests) == 3 and len(waits) == 2


def test_a_server_that_stays_busy_is_given_up(source, serve, waits):
    server = serve(lambda request: (500, {}, b""))
    with pytest.raises(GptmillError, match="could not be downloaded"):
        fetch(replace(source, url=f"{server.url}/data.txt"))
    assert len(server.requests) == download.ATTEMPTS == len(waits) + 1


def test_without_a_network_the_message_says_what_to_do(source, waits):
    with pytest.raises(Unavailable) as caught:
        fetch(source)
    for message in (
        "the data could not be downloaded",
        source.url,
        "no connection",
        "Check the network",
        "GPTMILL_MIRROR",
    ):
        assert message in str(caught.value)
    assert len(waits) == download.ATTEMPTS - 1


def zipped(source: Source, url: str, content: bytes, member: str = "folder/data.txt", **changes) -> Source:
    return replace(
        source,
        **(
            {"url": f"{url}/a.zip", "member": member, "archive_sha256": sha256(content), "size": len(content)} | changes
        ),
    )


def test_a_file_is_taken_out_of_its_archive(source, cache, serve):
    content = archive()
    server = serve(lambda request: (200, {}, content))
    source = zipped(source, server.url, content)
    path = fetch(source)
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(cache)
    assert source.origin == f"{source.url}#folder/data.txt"
    assert fetch(source) == path and len(server.requests) == 1


def test_a_member_cannot_point_outside(source, cache, serve):
    content = archive("../../evil.txt")
    server = serve(lambda request: (200, {}, content))
    with pytest.raises(GptmillError, match=r"its member \.\./\.\./evil.txt points outside"):
        fetch(zipped(source, server.url, content, "../../evil.txt"))
    assert not list(cache.parent.parent.glob("evil.txt"))


def test_a_member_that_is_not_there_is_one_error(source, serve):
    content = archive("other.txt")
    with pytest.raises(GptmillError, match="no readable folder/data.txt"):
        fetch(zipped(source, serve(lambda request: (200, {}, content)).url, content))


def test_what_is_no_archive_is_one_error(source, serve):
    with pytest.raises(GptmillError, match="no readable folder/data.txt"):
        fetch(zipped(source, serve(lambda request: (200, {}, b"<html>")).url, b"<html>"))


def test_a_member_that_has_changed_is_refused(source, serve):
    content = archive(content=b"changed")
    with pytest.raises(GptmillError, match="The public file has changed"):
        fetch(zipped(source, serve(lambda request: (200, {}, content)).url, content))


def test_the_public_files_are_pinned():
    known = [
        sources.CORPUS,
        sources.SPAM,
        sources.INSTRUCTIONS,
        sources.GPT2_VOCABULARY,
        *sources.GPT2_WEIGHTS.values(),
    ]
    for source in known:
        assert source.url.startswith("https://") and source.licence and source.size
        assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)
    assert len({source.mirror for source in known}) == len(known)


def test_provenance_says_what_the_file_is(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    record = source_record("the data", "http://example.org", "MIT", tmp_path / "a")
    assert record == {
        "name": "the data",
        "origin": "http://example.org",
        "licence": "MIT",
        "sha256": sha256(CONTENT),
        "bytes": len(CONTENT),
    }
    assert files.digest(tmp_path / "a") == record["sha256"]
