"""`gptmill data refresh`: only what really changed upstream changes anything here."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from gptmill import config, stages
from gptmill.core import paths
from gptmill.core.errors import GptmillError
from gptmill.ingest import refresh, sources

TABLE = b"label,text\nham,see you\nspam,WIN\n"


def refresh_output(name: str | None = None) -> list[str]:
    return list(refresh.refresh(config.load(), name))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def use(url: str) -> None:
    """params.yaml takes the messages from there, with comments and a layout that must stay."""
    text = paths.PARAMS.read_text().replace("source: sample", "source:   custom   # mine")
    text = text.replace(
        "    file: spam.tsv\n    urls: []", f'    file: mine.csv\n    urls: # where they are\n    - "{url}"'
    )
    text = text.replace("columns: [label, text]", "columns: []").replace(
        "labels: [ham, spam]", "labels: ['ham',  \"spam\"]"
    )
    paths.PARAMS.write_text(text.replace('sha256: ""', "sha256: ''   # none yet"))


def test_the_sample_has_nothing_upstream(project):
    assert refresh_output() == [
        f"{name}: the embedded sample; there is nothing upstream." for name in ("corpus", "spam", "instructions")
    ]
    with pytest.raises(GptmillError, match="unknown data set spma; known are corpus, spam, instructions"):
        refresh_output("spma")


@pytest.mark.parametrize("kind", ["address", "path"])
def test_what_has_changed_is_pinned_and_nothing_else_in_the_file(project, serve, kind):
    content = TABLE
    server = serve(lambda request: (200, {}, content))
    Path("mine.csv").write_bytes(TABLE)
    use(f"{server.url}/mine.csv" if kind == "address" else "mine.csv")
    assert refresh_output("spam") == ["spam: not downloaded yet; `dvc repro` does it."]
    stages.run("download", config.load(), "spam")
    before, record = paths.PARAMS.read_text(), paths.source_record("spam").read_bytes()
    assert refresh_output("spam")[0].startswith(f"spam: unchanged, {sha256(TABLE)} from ")
    assert paths.PARAMS.read_text() == before

    content = TABLE + b"ham,bye\n"
    Path("mine.csv").write_bytes(content)
    if kind == "address":
        with pytest.raises(GptmillError, match="has changed.*gptmill data refresh spam"):
            stages.run("download", config.load(), "spam")
    [line] = refresh_output("spam")
    assert f"has changed: {sha256(TABLE)} -> {sha256(content)}" in line and "dvc repro" in line
    assert config.load().data.spam.sha256 == sha256(content)
    place = before.index("sha256: ''", before.index("  spam:\n"))
    assert (
        paths.PARAMS.read_text()
        == before[:place] + f'sha256: "{sha256(content)}"' + before[place + len("sha256: ''") :]
    )
    assert (
        paths.raw_file("spam", "mine.csv").read_bytes() == TABLE and paths.source_record("spam").read_bytes() == record
    )
    stages.run("download", config.load(), "spam")
    assert paths.raw_file("spam", "mine.csv").read_bytes() == content
    assert refresh_output("spam")[0].startswith("spam: unchanged")


def test_an_error_page_is_not_pinned(project, serve):
    content = TABLE
    server = serve(lambda request: (200, {}, content))
    use(f"{server.url}/mine.csv")
    stages.run("download", config.load(), "spam")
    before = paths.PARAMS.read_bytes()
    content = b"<html>We are down</html>"
    with pytest.raises(GptmillError, match="HTML or XML page"):
        refresh_output("spam")
    assert paths.PARAMS.read_bytes() == before


def test_a_hash_that_can_not_be_found_in_the_file_is_left_to_the_person(project):
    text = paths.PARAMS.read_text()
    paths.PARAMS.write_text(text.replace('    sha256: ""', "    sha256: >-\n"))
    assert config.load().data.spam.sha256 == ""
    with pytest.raises(
        GptmillError,
        match=f"data.spam.sha256 can't be .* in params.yaml as it is written: set it to {'1' * 64} yourself",
    ):
        refresh.pin_sha256("spam", "1" * 64)


def test_the_books_files_are_asked_for_again_and_must_not_change(project, serve, monkeypatch):
    content = b"The Verdict, by nobody in particular\n"
    server = serve(lambda request: (200, {}, content))
    source = sources.Source("a text", f"{server.url}/a.txt", sha256(content), "public domain", "a.txt")
    monkeypatch.setitem(sources.BOOK, "corpus", source)
    paths.PARAMS.write_text(paths.PARAMS.read_text().replace("source: sample", "source: book"))
    stages.run("download", config.load(), "corpus")
    assert (
        refresh_output("corpus") == [f"corpus: unchanged, {sha256(content)} as published."]
        and len(server.requests) == 2
    )
    content = b"changed"
    with pytest.raises(GptmillError, match="SHA-256.*The book's numbers belong to the published bytes"):
        refresh_output("corpus")


def test_dvc_learns_only_of_real_changes(project, root):
    """`dvc status` stays clean after an unchanged refresh; a changed one makes the download run, and keeps what was known of the source."""
    Path("mine.csv").write_bytes(TABLE)
    use("mine.csv")
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run(command, check=True)
    Path("src").symlink_to(root / "src")

    def dvc(*arguments: str) -> str:
        return subprocess.run(["dvc", *arguments], capture_output=True, text=True, check=True).stdout

    dvc("repro", "download@spam")
    assert refresh_output("spam")[0].startswith("spam: unchanged") and "up to date" in dvc("status", "download@spam")
    Path("mine.csv").write_bytes(TABLE + b"ham,bye\n")
    assert "up to date" in dvc("status", "download@spam")
    refresh_output("spam")
    assert "data.spam.sha256" in dvc("status", "download@spam")
    assert sha256(TABLE + b"ham,bye\n") in dvc("repro", "download@spam")
    assert "up to date" in dvc("status", "download@spam")
