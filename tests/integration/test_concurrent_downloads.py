"""Many processes that fetch one address at once, killed and started again: each ends with the right bytes, or with a clear error."""

import hashlib
import io
import random
import re
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gptmill.core.errors import GptmillError
from gptmill.ingest import download_cache

FETCH = """
import sys
from pathlib import Path
from gptmill.ingest import custom, sources
from gptmill.core.errors import GptmillError

kind, url, sha256, archive_sha256, to = sys.argv[1:]
try:
    if kind == "archive":
        source = sources.Source("the text", url, sha256, "MIT", "text.txt", "text.txt", archive_sha256, size=1 << 24)
        Path(to).write_bytes(sources.fetch(source).read_bytes())
    else:
        record = custom.fetch(custom.SourceSpec("corpus", "text.txt", (url,), "", sha256, "MIT", 16), Path(to), None)
        print(record["fetched"]["sha256"])
except GptmillError as error:
    sys.exit(f"error: {error}")
"""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def text(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size // 2).hex().encode()


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("text.txt"), content)  # of the same bytes at any time
    return buffer.getvalue()


@dataclass
class Slow:
    """A server of one file, with ETag, Range and If-Range, at so many bytes a second. `cuts`: how many answers break in the middle."""

    content: bytes
    rate: int
    cuts: int = 0
    deaf: bool = False  # to If-Range: it sends the rest of whatever file it has now
    ranges: list[str] = field(default_factory=list)  # that were asked for
    sent: int = 0

    def __enter__(self) -> "Slow":
        slow = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                slow.answer(self)

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/text"
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        content, tag = self.content, f'"{digest(self.content)[:8]}"'
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked and (self.deaf or handler.headers.get("If-Range", tag) == tag) else 0
        self.ranges += [asked[0]] if asked else []
        if start >= len(content):
            handler.send_response(416)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        handler.send_header("ETag", tag)
        handler.send_header("Content-Length", str(len(content) - start))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        end = len(content)
        if self.cuts > 0 and len(content) - start > 2:
            self.cuts -= 1
            end = random.Random(self.cuts).randrange(start + 1, len(content))
        step = max(1, self.rate // 50)
        try:
            for at in range(start, end, step):
                handler.wfile.write(content[at : min(at + step, end)])
                self.sent += step
                time.sleep(step / self.rate)
        except OSError:  # the client was killed
            pass
        handler.close_connection = True


@pytest.fixture
def fetch(tmp_path, monkeypatch) -> Iterator[Callable]:
    """Starts a process that fetches; `fetch(kind, url, content, number)`."""
    monkeypatch.setenv("GPTMILL_CACHE", str(tmp_path / "cache"))
    started = []

    def start(kind: str, url: str, content: bytes, number: int) -> subprocess.Popen:
        pin = digest(content) if kind != "unpinned" else ""
        packed = digest(zipped(content)) if kind == "archive" else ""
        clone = tmp_path / f"clone-{number}"
        clone.mkdir(exist_ok=True)
        command = [sys.executable, "-c", FETCH, kind, url, pin, packed, "text.txt"]
        process = subprocess.Popen(command, cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def outcome(process: subprocess.Popen, clone: Path, versions: list[bytes], kind: str) -> str:
    """ "" when the bytes are right, else the error. Wrong bytes fail the test."""
    out, err = process.communicate(timeout=240)
    message = [line for line in err.replace("\r", "\n").splitlines() if line.startswith("error:")]
    assert "Traceback" not in err, err
    if process.returncode:
        assert message and not (clone / "text.txt").exists(), err
        return message[0]
    got = (clone / "text.txt").read_bytes()
    assert got in (versions if kind == "unpinned" else versions[:1]), f"{len(got)} wrong bytes"
    assert kind == "archive" or out.strip() == digest(got)
    return ""


@pytest.mark.parametrize("kind", ["pinned", "unpinned", "archive"])
def test_a_killed_process_is_followed_by_one_that_resumes(fetch, tmp_path, kind):
    content = text(1, 300_000)
    served = zipped(content) if kind == "archive" else content
    with Slow(served, rate=600_000) as slow:
        first = fetch(kind, slow.url, content, 0)
        deadline = time.monotonic() + 60
        while not any(path.stat().st_size for path in (tmp_path / "cache").glob("*.part")):
            assert time.monotonic() < deadline and first.poll() is None
            time.sleep(0.01)
        others = [fetch(kind, slow.url, content, number) for number in (1, 2)]
        first.kill()
        first.communicate()
        for number, process in enumerate(others, start=1):
            assert outcome(process, tmp_path / f"clone-{number}", [content], kind) == ""
        assert len(slow.ranges) == 1
        assert slow.sent < (3 if kind == "unpinned" else 2) * len(served)
    left = [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert len(left) == {"pinned": 1, "unpinned": 0, "archive": 2}[kind]
    assert list((tmp_path / "cache" / "scratch").glob("*")) == []


@pytest.mark.long
@pytest.mark.parametrize("kind", ["pinned", "unpinned", "archive"])
@pytest.mark.parametrize("seed", range(20))
def test_eight_processes_killed_at_random_never_end_with_wrong_bytes(fetch, tmp_path, kind, seed):
    fault = ("", "cuts", "changes", "deaf")[seed % 4]
    chance = random.Random(f"{kind} {fault} {seed}")
    versions = [text(seed, 2 * chance.randrange(100_000, 250_000))]
    if fault in ("changes", "deaf"):  # of the same length as well
        versions += [text(1000 + seed, len(versions[0])), text(2000 + seed, 2 * chance.randrange(100_000, 250_000))]
    pack = zipped if kind == "archive" else bytes
    with Slow(pack(versions[0]), rate=2_000_000, cuts=4 if fault == "cuts" else 0, deaf=fault == "deaf") as slow:
        processes = {number: fetch(kind, slow.url, versions[0], number) for number in range(8)}
        until = time.monotonic() + 20
        for kill in range(chance.randrange(2, 6)):
            sent = slow.sent
            pause = chance.uniform(0, 0.3)
            while (
                slow.sent == sent
                and any(process.poll() is None for process in processes.values())
                and time.monotonic() < until
            ):
                time.sleep(0.01)  # something is under way
            time.sleep(pause)
            if len(versions) > 1 and kill % 2:
                slow.content = pack(chance.choice(versions))
            for number in chance.sample(range(8), chance.randrange(1, 4)):
                if processes[number].poll() is None:
                    processes[number].kill()
                    processes[number].communicate()
                    processes[number] = fetch(kind, slow.url, versions[0], number)
        message = [
            outcome(process, tmp_path / f"clone-{number}", versions, kind) for number, process in processes.items()
        ]
        if fault in ("", "cuts") or kind == "unpinned":
            assert message == [""] * 8
        assert all("SHA-256" in one for one in message if one)


# --- the parts ---


def test_who_waits_for_a_lock_is_told_once_and_gets_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("GPTMILL_CACHE", str(tmp_path))
    monkeypatch.setattr(download_cache, "PATIENCE", 0.05)
    monkeypatch.setattr(download_cache, "POLL", 0.01)
    held, done, order = threading.Event(), threading.Event(), []

    def hold() -> None:
        with download_cache.entry("a", "corpus"):
            held.set()
            done.wait(20)
            order.append("first")

    first = threading.Thread(target=hold)
    first.start()
    assert held.wait(20)
    threading.Timer(0.5, done.set).start()
    with download_cache.entry("a", "corpus") as path, download_cache.entry("b", "spam"):
        order.append("second")
    first.join()
    assert path == tmp_path / "a" and order == ["first", "second"]
    assert caplog.messages == ["corpus: another process is downloading it; waiting for it to finish"]


def test_what_a_killed_process_left_in_scratch_is_removed_and_what_is_in_use_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("GPTMILL_CACHE", str(tmp_path))
    left = tmp_path / "scratch" / "of-a-killed-one"
    left.mkdir(parents=True)
    (left / "large").write_bytes(b"x")
    left.with_suffix(".lock").touch()
    with download_cache.scratch() as one:
        (one / "file").write_bytes(b"x")
        with download_cache.scratch() as another:
            assert one != another and sorted(one.parent.glob("*")) == sorted(
                [one, another, one.with_suffix(".lock"), another.with_suffix(".lock")]
            )
        assert (one / "file").exists()
    with pytest.raises(KeyboardInterrupt), download_cache.scratch() as one:
        (one / "half").touch()
        raise KeyboardInterrupt
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), OSError(95, "Operation not supported"), OSError(37, "No locks")]
)
def test_a_cache_that_cannot_be_locked_is_one_message(tmp_path, monkeypatch, error):
    """A read-only folder, and file systems without locks. The error is made here: root may write anywhere."""

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setenv("GPTMILL_CACHE", str(tmp_path))
    monkeypatch.setattr("filelock.FileLock._acquire", refuse)
    for use in (lambda: download_cache.entry("a", "corpus"), download_cache.scratch):
        with (
            pytest.raises(
                GptmillError, match=f"the download cache {tmp_path} can't be used .{error.strerror}.*set GPTMILL_CACHE"
            ),
            use(),
        ):
            pass


def test_a_cache_that_is_a_file_is_one_message(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GPTMILL_CACHE", str(tmp_path / "file"))
    with (
        pytest.raises(GptmillError, match="set GPTMILL_CACHE to a writable folder"),
        download_cache.entry("a", "corpus"),
    ):
        pass
