"""One's own data from paths, http and s3: what is fetched, what stands in source.json, and what stops it."""

import gzip
import hashlib
import io
import json
import re
import shutil
import socket
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from fetching import fetch, refusal, source_spec
from gptmill.core.errors import GptmillError
from gptmill.ingest import custom, download

DATA = b"body,topic\n" + b"".join(b'"Text %d, it says",food\n' % n for n in range(2000))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPTMILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zst(content: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor().compress(content)


# --- paths, and what is packed ---


def test_a_file_is_taken_as_its_bytes_are_and_its_record_says_so():
    Path("mine.csv").write_bytes(DATA)
    content, record = fetch(source_spec("mine.csv"))
    assert content == DATA
    hashed = {"sha256": sha256(DATA), "bytes": len(DATA)}
    assert record == {"name": "mine.csv", "origin": "mine.csv", "licence": "CC BY 4.0", **hashed, "fetched": hashed}


@pytest.mark.parametrize("packed", [
    gzip.compress(DATA), zst(DATA), zst(DATA[:1000]) + zst(DATA[1000:]), gzip.compress(DATA[:1000]) + gzip.compress(DATA[1000:]),
    zipped(mine=DATA), tarred(mine=DATA), gzip.compress(tarred(mine=DATA)), zst(tarred(mine=DATA)), zipped(mine=gzip.compress(DATA)),
    zipped(**{"mine": DATA, "__MACOSX/._mine": b"x"}),
])  # fmt: skip
def test_what_is_packed_is_told_by_its_bytes_and_not_by_its_name(packed):
    Path("mine.csv").write_bytes(packed)
    content, record = fetch(source_spec("mine.csv"))
    assert content == DATA
    assert record["fetched"] == {"sha256": sha256(packed), "bytes": len(packed)}


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("member", ["b.csv", "b.*"])
def test_a_member_is_named_when_there_are_several(pack, member):
    Path("mine.zip").write_bytes(pack(**{"a.csv": b"x", "b.csv": DATA}))
    content, record = fetch(source_spec("mine.zip", member=member))
    assert content == DATA and record["member"] == member


def test_a_folder_of_texts_becomes_documents_in_the_order_of_their_names():
    Path("texts/sub").mkdir(parents=True)
    for name, content in {
        "b.txt": b"Two.\n",
        "a.txt": b"\xef\xbb\xbfOne.",
        "sub/c.txt.gz": gzip.compress(b"Three."),
        "notes.md": b"x",
    }.items():
        Path("texts", name).write_bytes(content)
    corpus = source_spec("texts", name="corpus", file="corpus.txt")
    content, record = fetch(corpus)
    assert content == b"One.\n<|endoftext|>\nTwo.\n<|endoftext|>\nThree.\n"
    assert [part["name"] for part in record["files"]] == ["a.txt", "b.txt", "sub/c.txt"]
    assert record["files"][1] == {"name": "b.txt", "sha256": sha256(b"Two.\n"), "bytes": 5}
    assert fetch(source_spec("texts/*.txt", name="corpus", file="corpus.txt"))[0] == b"One.\n<|endoftext|>\nTwo.\n"
    Path("texts/b.txt").write_bytes(b"Changed.\n")
    assert fetch(corpus, before=record)[1]["fetched"]["sha256"] != record["fetched"]["sha256"]


def test_members_of_an_archive_become_documents_and_lines_of_jsonl_stand_one_after_another():
    Path("a.zip").write_bytes(zipped(**{"b.txt": b"Two.", "a.txt": b"One.", "c.md": b"x"}))
    assert (
        fetch(source_spec("a.zip", name="corpus", file="corpus.txt", member="*.txt"))[0]
        == b"One.\n<|endoftext|>\nTwo.\n"
    )
    Path("b.zip").write_bytes(zipped(**{"b.jsonl": b'{"text": "b"}', "a.jsonl": b'{"text": "a"}\n'}))
    assert (
        fetch(source_spec("b.zip", name="corpus", file="corpus.jsonl", member="*"))[0]
        == b'{"text": "a"}\n{"text": "b"}\n'
    )
    Path("c.zip").write_bytes(zipped(**{"b.csv": b"text\nb", "a.csv": b"text\na"}))
    with pytest.raises(GptmillError, match="many files are for txt and jsonl"):
        fetch(source_spec("c.zip", name="corpus", file="corpus.csv", member="*"))


@pytest.mark.parametrize("pack", ["tar of gzip", "folder"])
def test_twice_as_many_files_are_twice_the_work(pack):
    def work(files: int) -> int:
        """Calls of functions, which are the same each time, as seconds are not."""
        texts = {f"{pack}-{files}/{n}.txt": b"Text." for n in range(files)}
        if pack == "folder":
            Path(f"{pack}-{files}").mkdir()
            for name, text in texts.items():
                Path(name).write_bytes(text)
        else:
            Path(f"{pack}-{files}").write_bytes(tarred(**{name: gzip.compress(text) for name, text in texts.items()}))
        calls = 0

        def count(frame, event, argument) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            fetch(
                source_spec(f"{pack}-{files}", name="corpus", file="corpus.txt", member="*" if pack != "folder" else "")
            )
        finally:
            sys.setprofile(None)
        return calls

    work(10)  # what is imported late
    assert work(200) < 2.3 * work(100)


def test_one_bad_text_of_many_is_named():
    Path("texts").mkdir()
    Path("texts/a.txt").write_bytes(b"fine")
    Path("texts/b.txt").write_bytes(b"caf\xe9 noir")
    assert "b.txt is not UTF-8: line 1, byte 3 is 0xe9" in refusal(
        source_spec("texts", name="corpus", file="corpus.txt")
    )


def test_neither_a_file_nor_what_it_unpacks_to_may_be_larger_than_allowed():
    Path("large.csv").write_bytes(b"x" * (1 << 20) + b"y")
    assert "has more than the 1 MB that data.spam.max_megabytes allows" in refusal(source_spec("large.csv"))
    Path("small.csv").write_bytes(gzip.compress(b"x" * (1 << 20) + b"y"))
    assert "more than 1,048,576 bytes when it is unpacked" in refusal(source_spec("small.csv"))


def test_a_file_address_is_decoded_and_a_path_is_not():
    Path("a b.csv").write_bytes(DATA)
    for address in (Path("a b.csv").absolute().as_uri(), "file://a%20b.csv"):
        assert "%20" in address and fetch(source_spec(address))[0] == DATA
    shutil.rmtree("data")
    assert "there is no such file" in refusal(source_spec("a%20b.csv"))


def test_what_the_stage_writes_is_no_source():
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/topics.csv").write_bytes(DATA)
    with pytest.raises(GptmillError, match="data/raw/topics.csv leads into data/raw/, which runs write and remove"):
        fetch(source_spec("data/raw/topics.csv"))


# --- http ---


def ranged(request, content: bytes, tag: str = '"one"') -> tuple[int, dict, bytes]:
    """As a server with support for Range and If-Range answers."""
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("range", ""))
    if not asked or request.headers.get("if-range", tag) != tag:
        return 200, {"ETag": tag}, content
    start = int(asked[1])
    return 206, {"ETag": tag, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}, content[start:]


def test_a_packed_csv_comes_by_http(serve):
    packed = gzip.compress(DATA)
    server = serve(lambda request: (200, {"Content-Encoding": "gzip", "Content-Type": "text/csv"}, packed))
    content, record = fetch(source_spec(f"{server.url}/files/topics.csv.gz?download=1"))
    assert content == DATA and record["name"] == "topics.csv.gz" and record["fetched"]["sha256"] == sha256(packed)


def test_a_download_that_breaks_goes_on_and_a_file_that_changed_meanwhile_starts_anew(serve, waits):
    other = DATA.replace(b"food", b"tech")

    def answer(request):
        content, tag = (DATA, '"one"') if len(server.requests) < 3 else (other, '"two"')
        status, headers, body = ranged(request, content, tag)
        return (
            (status, headers | {"Content-Length": str(len(body))}, body[:20_000])
            if len(server.requests) < 3
            else (status, headers, body)
        )

    server = serve(answer)
    assert fetch(source_spec(f"{server.url}/topics.csv"))[0] == other
    assert [request.headers.get("range") for request in server.requests] == [None, "bytes=20000-", "bytes=40000-"]


def test_the_next_run_goes_on_only_with_the_same_file(serve, waits, cache, monkeypatch):
    monkeypatch.setattr(download, "ATTEMPTS", 1)
    cut = True

    def answer(request):
        status, headers, body = ranged(request, DATA)
        return (status, headers | {"Content-Length": str(len(body))}, body[:20_000]) if cut else (status, headers, body)

    server = serve(answer)
    assert "the connection broke" in refusal(source_spec(f"{server.url}/topics.csv"))
    cut = False
    assert fetch(source_spec(f"{server.url}/topics.csv"))[0] == DATA
    assert [(r.headers.get("range"), r.headers.get("if-range")) for r in server.requests] == [
        (None, None),
        ("bytes=20000-", '"one"'),
    ]
    assert [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_server_that_fails_twice_is_asked_again(serve, waits):
    server = serve(lambda request: (500, {}, b"no") if len(server.requests) < 3 else (200, {}, DATA))
    assert fetch(source_spec(f"{server.url}/topics.csv"))[0] == DATA and len(waits) == 2


@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_a_server_that_stalls_is_given_up(monkeypatch, pause, waits):
    """It sends a few bytes and then nothing, or one byte now and then."""
    import threading

    monkeypatch.setattr(download, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(download, "STALLED_SECONDS", 0.3)
    listener, done = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection:
            connection.recv(10_000)
            try:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not done.wait(pause or 5):
                    connection.sendall(b"x")
            except OSError:
                pass

    def serve_all() -> None:
        while True:
            try:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
            except OSError:
                return

    threading.Thread(target=serve_all, daemon=True).start()
    try:
        assert "the server has stopped sending" in refusal(
            source_spec(f"http://127.0.0.1:{listener.getsockname()[1]}/topics.csv")
        )
    finally:
        done.set()
        listener.close()


def test_the_next_address_is_asked_when_one_has_nothing_or_a_page(serve):
    pages = {
        "/page.csv": (200, {"Content-Type": "text/html; charset=utf-8"}, b"Log in"),
        "/xml.csv": (200, {}, b"<?xml version='1.0'?>"),
    }
    server = serve(
        lambda request: pages.get(request.path) or ((200, {}, DATA) if request.path == "/right.csv" else (404, {}, b""))
    )
    urls = [f"{server.url}/{name}.csv" for name in ("missing", "page", "xml")]
    content, record = fetch(source_spec("nowhere.csv", *urls, f"{server.url}/right.csv"))
    assert content == DATA and record["origin"] == f"{server.url}/right.csv"
    Path("data/raw/topics.csv").unlink()
    Path("data/raw").rmdir()
    Path("data").rmdir()
    message = refusal(source_spec("nowhere.csv", *urls)).splitlines()
    assert message[1:4] == [
        "  nowhere.csv: there is no such file or folder",
        f"  {urls[0]}: the server answers 404 Not Found",
        f"  {urls[1]}: the server sends a web page (HTML), not data: is it a log-in or an error page?",
    ]
    assert (
        "xml.csv: the server sends an HTML or XML page" in message[4]
        and "data.spam.urls" in message[5]
        and "mozilla" not in "".join(message)
    )


def test_a_pinned_file_is_checked_and_downloaded_once(serve):
    server = serve(lambda request: (200, {}, DATA))
    one = source_spec(f"{server.url}/topics.csv", sha256=sha256(DATA))
    assert fetch(one)[0] == fetch(one)[0] == DATA and len(server.requests) == 1


def test_a_pinned_file_that_differs_says_what_was_expected_and_what_came(serve):
    server = serve(lambda request: (200, {}, DATA))
    Path("mine.csv").write_bytes(DATA)
    for url in (f"{server.url}/topics.csv", "mine.csv"):
        message = refusal(source_spec(url, sha256="0" * 64))
        assert sha256(DATA) in message and "0" * 64 in message and "gptmill data refresh spam" in message


def test_an_address_that_gives_other_bytes_than_before_stops_and_a_path_does_not(serve):
    content = DATA
    server = serve(lambda request: (200, {}, content))
    one = source_spec(f"{server.url}/topics.csv")
    _, before = fetch(one)
    content = DATA + b"x,food\n"
    with pytest.raises(
        GptmillError, match=f"has changed: its SHA-256 was {sha256(DATA)} and is {sha256(content)}.*data refresh spam"
    ):
        custom.fetch(one, Path("data/raw/topics.csv"), before)
    assert Path("data/raw/topics.csv").read_bytes() == DATA
    assert fetch(source_spec(f"{server.url}/other.csv"), before)[0] == content
    Path("mine.csv").write_bytes(content)
    assert fetch(source_spec("mine.csv"), before | {"origin": "mine.csv"})[0] == content


def test_secrets_in_an_address_are_shown_nowhere(serve, capsys):
    server = serve(lambda request: (200, {}, DATA) if "right" in request.path else (403, {}, b""))
    host = server.url.removeprefix("http://")
    secret = f"http://me:pass123@{host}/right.csv?X-Amz-Signature=abc123&token=t0ken&id=7#frag"
    record = fetch(source_spec(secret))[1]
    assert record["origin"] == f"http://{host}/right.csv?X-Amz-Signature=…&token=…&id=7"
    assert server.requests[0].headers["authorization"].startswith("Basic ") and "abc123" in server.requests[0].path
    with pytest.raises(GptmillError) as caught:
        custom.fetch(source_spec(secret.replace("right", "wrong")), Path("data/raw/topics.csv"), None)
    with pytest.raises(GptmillError) as changed:
        custom.fetch(source_spec(secret, sha256="0" * 64), Path("data/raw/topics.csv"), None)
    message = str(caught.value) + str(changed.value) + json.dumps(record) + "".join(capsys.readouterr())
    assert not re.search("pass123|abc123|t0ken|frag", message)


# --- the mirror ---


def test_the_mirror_is_asked_for_the_files_name_first_and_the_hash_holds(serve, monkeypatch, tmp_path):
    server = serve(lambda request: (200, {}, DATA) if request.path == "/m/topics.csv" else (404, {}, b""))
    public = "http://127.0.0.1:9/public/other-name.csv"
    (tmp_path / "mirror").mkdir()
    Path("mirror/topics.csv").write_bytes(DATA)
    for mirror in ("mirror", f"{server.url}/m/"):
        monkeypatch.setenv("GPTMILL_MIRROR", mirror)
        content, record = fetch(source_spec(public))
        assert content == DATA and record["origin"] == public
        with pytest.raises(GptmillError, match="has SHA-256 .*, not 000"):
            fetch(source_spec(public, sha256="0" * 64))


def test_a_mirror_without_the_file_leads_to_the_public_address(serve, monkeypatch):
    server = serve(lambda request: (200, {}, DATA) if request.path == "/public.csv" else (404, {}, b""))
    monkeypatch.setenv("GPTMILL_MIRROR", f"{server.url}/m")
    assert fetch(source_spec(f"{server.url}/public.csv"))[0] == DATA
    assert [request.path for request in server.requests] == ["/m/topics.csv", "/public.csv"]
