"""Servers that announce one thing and send another: the right bytes, or a clear error. And what may be a mirror."""

import gzip
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gptmill.commands import params as params_commands
from gptmill.config import profiles
from gptmill.core import paths
from gptmill.core.errors import GptmillError
from gptmill.ingest import download

CONTENT = b"".join(b"%06d The Verdict\n" % n for n in range(3000))
OTHER = CONTENT.replace(b"Verdict", b"Tribune")  # as long as the first
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CUT = 20_000


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GPTMILL_CACHE", str(tmp_path))
    return tmp_path


def fetch(url: str, cache: Path, expected: str | None = None) -> bytes:
    download.download(url, cache / "file", "corpus", expected, 1 << 20)
    assert [path.name for path in cache.iterdir()] == ["file"]
    return (cache / "file").read_bytes()


def whole(content: bytes = CONTENT, **headers: str) -> tuple[int, dict, bytes]:
    return 200, headers, content


def cut(content: bytes = CONTENT, **headers: str) -> tuple[int, dict, bytes]:
    return 200, {"Content-Length": str(len(content)), **headers}, content[:CUT]


def part(place: str, body: bytes, **headers: str) -> tuple[int, dict, bytes]:
    return 206, {"Content-Range": f"bytes {place}", **headers}, body


SIZE = len(CONTENT)
REST = part(f"{CUT}-{SIZE - 1}/{SIZE}", CONTENT[CUT:], ETag='"1"')
OTHERS_REST = f"{CUT}-{SIZE - 1}/{SIZE}", OTHER[CUT:]
MORE = OTHER + b"more"
DATES = {"Date": "Sat, 28 Nov 2026 04:00:02 GMT"}


@pytest.mark.parametrize(("answers", "right", "asked"), [
    ([cut(ETag='"1"'), REST], CONTENT, 2),
    ([part(f"0-{SIZE - 1}/{SIZE}", CONTENT), whole()], CONTENT, 2),  # a part that was not asked for
    ([cut(ETag='"1"'), whole(OTHER, ETag='"2"')], OTHER, 2),
    # it ignores If-Range, and the file has changed
    ([cut(ETag='"1"'), part(*OTHERS_REST, ETag='"2"'), whole(OTHER)], OTHER, 3),
    ([cut(ETag='"1"'), part(*OTHERS_REST), whole(OTHER)], OTHER, 3),
    ([cut(ETag='"1"'), part(f"{CUT}-{len(MORE) - 1}/{len(MORE)}", MORE[CUT:], ETag='"1"'), whole(MORE)], MORE, 3),
    # nothing that is certain tells whether it has
    ([cut(), whole(OTHER)], OTHER, 2),
    ([cut(), part(*OTHERS_REST), whole(OTHER)], OTHER, 3),
    ([cut(ETag='W/"1"'), part(*OTHERS_REST, ETag='W/"1"'), whole(OTHER)], OTHER, 3),
    # parts that were not asked for, or can't be
    ([cut(ETag='"1"'), part(f"0-{SIZE - 1}/{SIZE}", CONTENT, ETag='"1"'), whole()], CONTENT, 3),
    ([cut(ETag='"1"'), part(f"{CUT - 1}-{SIZE - 1}/{SIZE}", CONTENT[CUT - 1 :], ETag='"1"'), whole()], CONTENT, 3),
    ([cut(ETag='"1"'), part(f"{CUT}-{SIZE - 1}/*", CONTENT[CUT:], ETag='"1"'), whole()], CONTENT, 3),
    ([cut(ETag='"1"'), part(f"{CUT}-{SIZE}/{SIZE}", CONTENT[CUT:] + b"x", ETag='"1"'), whole()], CONTENT, 3),
    ([cut(ETag='"1"'), part("nonsense", CONTENT[CUT:], ETag='"1"'), whole()], CONTENT, 3),
    ([cut(ETag='"1"'), (206, {"ETag": '"1"'}, CONTENT[CUT:]), whole()], CONTENT, 3),
    ([cut(ETag='"1"'), (416, {}, b""), whole()], CONTENT, 3),
    # more than the part that it announces; less, which is continued
    ([cut(ETag='"1"'), part(f"{CUT}-{SIZE - 1}/{SIZE}", CONTENT[CUT:] + b"more", ETag='"1"'), whole()], CONTENT, 3),
    ([cut(ETag='"1"'), part(f"{CUT}-{CUT + 9}/{SIZE}", CONTENT[CUT : CUT + 10], ETag='"1"'),
      part(f"{CUT + 10}-{SIZE - 1}/{SIZE}", CONTENT[CUT + 10 :], ETag='"1"')], CONTENT, 3),
])  # fmt: skip
def test_of_a_file_without_a_hash_only_what_belongs_together_is_joined(serve, waits, cache, answers, right, asked):
    server = serve(lambda request: answers[len(server.requests) - 1])
    assert fetch(f"{server.url}/file", cache) == right
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    ("modified", "resumed"), [("Sat, 28 Nov 2026 04:00:01 GMT", True), (DATES["Date"], False), ("yesterday", False)]
)
def test_a_date_tells_versions_apart_unless_it_is_of_this_second(serve, waits, cache, modified, resumed, monkeypatch):
    from http.server import BaseHTTPRequestHandler

    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda self, timestamp=None: DATES["Date"])
    dated = {"Last-Modified": modified}

    def answer(request):
        if "range" in request.headers:
            assert request.headers["if-range"] == modified
            return part(f"{CUT}-{SIZE - 1}/{SIZE}", CONTENT[CUT:], **dated)
        return cut(**dated) if len(server.requests) == 1 else whole(**dated)

    server = serve(answer)
    assert fetch(f"{server.url}/file", cache) == CONTENT
    assert ("range" in server.requests[1].headers) == resumed


@pytest.mark.parametrize("answers", [
    [cut(), part(*OTHERS_REST), whole()],
    [whole(OTHER)],
    [part(f"0-{SIZE - 1}/{SIZE}", OTHER)] * download.ATTEMPTS,
    [cut()] * download.ATTEMPTS,
    [cut(OTHER), whole()],
])  # fmt: skip
def test_a_file_with_a_hash_is_right_or_refused(serve, waits, cache, answers):
    server = serve(lambda request: answers[len(server.requests) - 1])
    try:
        assert fetch(f"{server.url}/file", cache, SHA256) == CONTENT
    except download.ChecksumMismatch as error:
        assert str(error) == hashlib.sha256(OTHER).hexdigest() and list(cache.iterdir()) == []
    except download.DownloadError as error:
        assert "the connection broke" in str(error) and not (cache / "file").exists()
    assert len(server.requests) == len(answers)


def test_what_is_damaged_in_a_part_is_found_by_the_hash_and_fetched_anew(serve, waits, cache):
    (cache / "file.part").write_bytes(OTHER[:CUT])
    server = serve(
        lambda request: part(f"{CUT}-{SIZE - 1}/{SIZE}", CONTENT[CUT:]) if "range" in request.headers else whole()
    )
    assert fetch(f"{server.url}/file", cache, SHA256) == CONTENT


@pytest.mark.parametrize("seen", ["", "{", '{"validator": ', '"1"', "[]", '{"validator": "a", "total": 1, "more": 2}'])
def test_a_part_without_a_whole_note_of_what_it_is_of_is_not_resumed(serve, cache, seen):
    (cache / "file.part").write_bytes(OTHER[:CUT])
    (cache / "file.seen").write_text(seen)
    server = serve(lambda request: REST if "range" in request.headers else whole())
    assert fetch(f"{server.url}/file", cache) == CONTENT


@pytest.mark.parametrize("expected", [None, SHA256])
def test_what_another_process_wrote_into_the_part_is_noticed(serve, waits, cache, expected):
    """One of an older version, or on a file system that only pretends to lock."""

    def answer(request):
        if len(server.requests) == 2:
            with (cache / "file.part").open("ab") as file:
                file.write(b"foreign")
            return REST
        return cut(ETag='"1"') if len(server.requests) == 1 else whole()

    server = serve(answer)
    assert fetch(f"{server.url}/file", cache, expected) == CONTENT


def test_more_than_was_announced_is_not_read(serve, cache):
    server = serve(lambda request: (200, {"Content-Length": str(SIZE)}, CONTENT + b"more"))
    assert fetch(f"{server.url}/file", cache) == CONTENT


@pytest.mark.parametrize(("answer", "why"), [
    ((202, {}, b"come back later"), "202 Accepted"),
    ((204, {}, b""), "204 No Content"),
    ((200, {"Content-Encoding": "br"}, CONTENT), r"encoded \(br\)"),
    ((200, {"Content-Encoding": "gzip, br"}, CONTENT), r"encoded \(gzip, br\)"),
    ((200, {"Content-Length": "many"}, CONTENT), "the connection broke"),
    ((302, {}, b""), "302 Found"),
])  # fmt: skip
def test_what_is_not_the_file_is_refused(serve, waits, cache, answer, why):
    server = serve(lambda request: answer)
    with pytest.raises(download.DownloadError, match=why):
        fetch(f"{server.url}/file", cache)
    assert list(cache.iterdir()) == []


# --- without a length ---


@pytest.fixture
def raw() -> Iterator[Callable[[bytes], str]]:
    """A server that answers with these very bytes, and closes."""
    listeners = []

    def start(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection:
                    connection.recv(10_000)
                    connection.sendall(answer)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/file"

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def chunked(content: bytes, end: bytes = b"0\r\n\r\n", headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n%s\r\n%x\r\n%s\r\n%s" % (
        headers,
        len(content),
        content,
        end,
    )


ENDLESS = b"HTTP/1.0 200 OK\r\n\r\n"


def test_a_file_without_a_length_is_taken_where_its_end_is_marked(raw, cache, waits):
    assert fetch(raw(chunked(CONTENT)), cache) == CONTENT
    packed = gzip.compress(CONTENT)
    assert fetch(raw(chunked(packed, headers=b"Content-Encoding: gzip\r\n")), cache) == packed
    with pytest.raises(download.DownloadError, match="the connection broke"):
        download.download(raw(chunked(CONTENT, end=b"")), cache / "another", "corpus", None, None)


def test_a_file_without_any_end_needs_a_hash(raw, cache):
    with pytest.raises(download.Rejected, match="neither how long the file is nor where it ends.*sha256"):
        fetch(raw(ENDLESS + CONTENT[:CUT]), cache)
    assert fetch(raw(ENDLESS + CONTENT), cache, SHA256) == CONTENT
    (cache / "file").unlink()
    with pytest.raises(download.ChecksumMismatch):
        fetch(raw(ENDLESS + CONTENT[:CUT]), cache, SHA256)


# --- the mirror ---


@pytest.mark.parametrize(("said", "why"), [
    ("ftp://host/files", "ftp:// is not supported"), ("s3://bucket/files", "s3:// is not supported"),
    ("htps://host", "htps:// is not supported"),
    ("http://", "names no server"), ("https:///files", "names no server"), ("nowhere", "no such folder"), ("http:/host", "no such folder"),
    ("file:///nowhere", "no such folder"), ("a-file", "it is not a folder"), ("~nobody-of-this-name/files", "it can't be used"),
    ("x" * 5000, "it can't be used|no such folder"), ("$HOME/files", "no such folder"), ("ftp://me:pass@host/files", "ftp://host/files"),
])  # fmt: skip
def test_an_invalid_mirror_is_an_error_that_says_what_to_set(tmp_path, monkeypatch, said, why):
    monkeypatch.chdir(tmp_path)
    Path("a-file").touch()
    monkeypatch.setenv("GPTMILL_MIRROR", said)
    with pytest.raises(GptmillError, match=why) as caught:
        download.mirror()
    message = str(caught.value)
    assert message.startswith("GPTMILL_MIRROR is ") and "Set it to a folder or an http(s) address" in message
    assert "\n" not in message and "pass@" not in message


def test_a_mirror_is_a_folder_or_an_address(tmp_path, monkeypatch):
    folder = tmp_path / "my files"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for said in (str(folder), f"{folder}/", "my files", "./my files", "~/my files", folder.as_uri(), f"  {folder} "):
        monkeypatch.setenv("GPTMILL_MIRROR", said)
        assert download.mirror().samefile(folder)
    for said in ("http://host/files/", "HTTPS://host/files"):
        monkeypatch.setenv("GPTMILL_MIRROR", said)
        assert download.mirror() == said.rstrip("/")
    for said in ("", " "):
        monkeypatch.setenv("GPTMILL_MIRROR", said)
        assert download.mirror() is None


@pytest.mark.parametrize(
    ("profile", "fetches"), [("mini", False), ("sample", False), ("book-tiny", True), ("shakespeare", True)]
)
def test_params_check_minds_the_mirror_where_something_is_fetched(project, monkeypatch, profile, fetches):
    monkeypatch.setenv("GPTMILL_MIRROR", "nowhere")
    try:
        profiles.use(profile, force=True)
        params_commands.check(paths.PARAMS)
    except GptmillError as error:
        assert fetches and str(error).startswith("GPTMILL_MIRROR is nowhere: there is no such folder")
    else:
        assert not fetches
