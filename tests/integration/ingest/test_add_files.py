"""`gptmill data add`, and what a project knows of files that users correct in place."""

import subprocess
import sys
from pathlib import Path

import pytest

from gptmill import config, stages
from gptmill.config import profiles
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.ingest import add_files, refresh

WITH_COLUMNS, NO_COLUMNS = "columns: [label, text]", "columns: []  # it has a header"
TABLE = "label,text\n" + "".join(f"ham,see you at {n}\nspam,WIN {n} NOW\n" for n in range(9))


def run(*command: str, at: Path = Path()) -> str:
    done = subprocess.run(command, cwd=at, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def git(*words: str, at: Path = Path()) -> str:
    return run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words, at=at)


@pytest.fixture
def repository(project, root) -> Path:
    """A project under git and DVC, with comments and a layout in its params.yaml that must stay."""
    text = (
        paths.PARAMS.read_text()
        .replace("  source: sample", "  source:   custom   # mine")
        .replace(WITH_COLUMNS, NO_COLUMNS)
    )
    paths.PARAMS.write_text(
        text.replace(
            "spam.tsv\n    urls: []", "spam.tsv   # as it is\n    urls: # where\n    - a.tsv\n    - b.tsv # last"
        )
    )
    Path("src").symlink_to(root / "src")
    for name in (".gitignore", ".dvcignore"):
        Path(name).write_bytes((root / name).read_bytes())
    git("init", "-q")
    run("dvc", "init", "-q")
    git("add", "-A")
    git("commit", "-qm", "start")
    return project


def outside(repository: Path, name: str, text: str = TABLE) -> Path:
    path = repository.parent / f"{repository.name}-mine" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def add(name: str, *given: Path, **options: bool) -> str:
    return "\n".join(add_files.add(name, given, **options))


def test_a_file_that_was_added_is_there_in_a_fresh_clone_and_nothing_runs_again(repository, tmp_path_factory):
    mine = outside(repository, "topics.csv")
    before = paths.PARAMS.read_text()
    output = add("spam", mine)
    copy = paths.SOURCES / "spam/topics.csv"
    assert copy.read_text() == TABLE and "git gets topics.csv.dvc" in output and 'labels: ["ham", "spam"]' in output
    wanted = before.replace("file: spam.tsv", 'file: "topics.csv"').replace(
        "- a.tsv\n    - b.tsv", '- "data/sources/spam/topics.csv"'
    )
    assert paths.PARAMS.read_text() == wanted
    staged = git("diff", "--cached", "--name-only").split()
    assert staged == ["data/sources/spam/.gitignore", "data/sources/spam/topics.csv.dvc"]
    run("dvc", "repro", "download@spam")
    run("dvc", "remote", "add", "-d", "far", str(tmp_path_factory.mktemp("remote")))
    git("add", "-A")
    assert "data/sources/spam/topics.csv" not in git("ls-files").split()
    git("commit", "-qm", "mine")
    run("dvc", "push", "download@spam", f"{copy}.dvc")

    clone = tmp_path_factory.mktemp("clone") / "p"
    git("clone", "-q", ".", str(clone))
    run("dvc", "pull", "download@spam", f"{copy}.dvc", at=clone)
    (clone / paths.SOURCES / "spam/README.md").write_text("reworded")
    message = run("dvc", "repro", "download@spam", at=clone)
    assert "Running" not in message and message.count("didn't change") == 2
    (clone / copy).write_text(TABLE + "ham,bye\n")
    assert "Running stage 'download@spam'" in run("dvc", "repro", "download@spam", at=clone)
    assert (clone / paths.raw_file("spam", "topics.csv")).read_text() == TABLE + "ham,bye\n"
    assert git("status", "--porcelain", at=clone).split()[1::2] == [
        "data/sources/spam/README.md",
        f"{copy}.dvc",
        "dvc.lock",
    ]


def test_many_texts_are_the_corpus_without_the_page_that_git_has_there(repository):
    given = [outside(repository, f"{name}.txt", f"Story {name}.\n" * 400) for name in "ba"]
    add("corpus", *given)
    values = config.load()
    assert values.data.corpus.urls == ["data/sources/corpus"]
    stages.run("download", values, "corpus")
    read = paths.raw_file("corpus", "corpus.txt").read_text()
    assert read.startswith("Story a.") and "Story b." in read and "gptmill data add" not in read and "outs:" not in read
    assert list(refresh.refresh_local(values)) == []  # DVC sees it itself


def test_an_empty_folder_of_sources_holds_no_data(repository):
    text = paths.PARAMS.read_text()
    paths.PARAMS.write_text(
        text.replace("corpus.txt\n    urls: []", "corpus.txt\n    urls: [data/sources/corpus, data/sources/corpus/*]")
    )
    done = subprocess.run(
        [sys.executable, "-m", "gptmill", "stage", "download", "corpus"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and "there is no file in it" in done.stderr and "no file is there" in done.stderr


def test_other_bytes_of_the_same_name_are_replaced_only_when_asked(repository):
    mine, copy = outside(repository, "topics.csv"), paths.SOURCES / "spam/topics.csv"
    add("spam", mine)
    add("spam", copy)
    mine.write_text("label,text\nham,other\n")
    with pytest.raises(GptmillError, match="topics.csv exists and has other bytes: .*--replace"):
        add("spam", mine)
    assert copy.read_text() == TABLE
    add("spam", mine, replace=True)
    assert copy.read_text() == mine.read_text() and files.digest(mine, "md5") in Path(f"{copy}.dvc").read_text()


@pytest.mark.parametrize(("name", "given", "message"), [
    ("spma", ["a.csv"], "unknown data set spma"),
    ("spam", ["nowhere.csv"], "nowhere.csv does not exist"),
    ("spam", ["."], ". is not a file"),
    ("spam", [".hidden.csv"], "has an unsupported name"),
    ("spam", ["README.md"], "has an unsupported name"),
    ("spam", ["$(touch x).csv"], "has an unsupported name"),
    ("spam", ["a:b.csv"], "has an unsupported name"),
    ("spam", ["a\nb.csv"], "has an unsupported name"),
    ("corpus", ["a.csv", "deep/a.csv"], "two of the files have the same name"),
    ("spam", ["a.csv", "b.csv"], "spam is one file"),
])  # fmt: skip
def test_what_can_not_be_added_is_named_and_nothing_is_copied(project, name, given, message):
    Path("deep").mkdir()
    for one in given:
        if one not in (".", "nowhere.csv"):
            Path(one).write_text("x")
    before = paths.PARAMS.read_bytes()
    with pytest.raises(GptmillError, match=message.replace("(", r"\(")):
        add(name, *map(Path, given))
    assert [path.name for path in paths.SOURCES.rglob("*") if path.is_file()] == ["README.md"] * 3
    assert paths.PARAMS.read_bytes() == before


def test_without_dvc_nothing_is_left_behind(project):
    Path("a.csv").write_text(TABLE)
    with pytest.raises(GptmillError, match="DVC can't version data/sources/spam/a.csv"):
        add("spam", Path("a.csv"))
    assert [path.name for path in (paths.SOURCES / "spam").iterdir()] == ["README.md"]


def test_params_that_are_not_in_order_with_the_file_stay_and_what_to_set_is_told(repository):
    text = paths.PARAMS.read_text().replace(NO_COLUMNS, WITH_COLUMNS)
    paths.PARAMS.write_text(text)
    output = add("spam", outside(repository, "mine.jsonl", '{"label": "ham", "text": "x"}\n'))
    assert "params.yaml is unchanged: set data.spam.urls:" in output and 'data.spam.file: "mine.jsonl"' in output
    assert "columns are for a csv or tsv" in output and paths.PARAMS.read_text() == text


# --- what is corrected in place, outside data/sources ---


def corrected(kind: str, mine: Path) -> str:
    """An address of that kind for the file."""
    if kind == "link":
        Path("link.csv").symlink_to(mine)
        return "link.csv"
    if kind == "link in sources":
        (paths.SOURCES / "spam/link.csv").symlink_to(mine)
        return "data/sources/spam/link.csv"
    return {"path": str(mine), "file": mine.as_uri(), "folder": str(mine.parent), "glob": f"{mine.parent}/*.csv"}[kind]


@pytest.mark.parametrize("kind", ["path", "file", "folder", "glob", "link", "link in sources"])
def test_what_was_corrected_in_place_is_pinned_once(project, kind, monkeypatch):
    mine = outside(project, "mine.csv")
    text = paths.PARAMS.read_text().replace("source: sample", "source: custom").replace(WITH_COLUMNS, NO_COLUMNS)
    address = corrected(kind, mine)
    paths.PARAMS.write_text(
        text.replace("    file: spam.tsv\n    urls: []", f"    file: mine.csv\n    urls: ['{address}']")
    )

    def output() -> list[str]:
        return list(refresh.refresh_local(config.load()))

    monkeypatch.setattr("gptmill.ingest.download.download", lambda *_, **__: pytest.fail("a server was asked"))
    assert "pinned as data.spam.sha256" in output()[0] and output() == []
    first = config.load().data.spam.sha256
    mine.write_text(TABLE + "ham,bye\n")
    [line] = output()
    assert f"has changed: {first} -> {config.load().data.spam.sha256}" in line and output() == []


def test_a_server_that_stands_before_a_path_decides(project, monkeypatch):
    Path("mine.csv").write_text(TABLE)
    text = paths.PARAMS.read_text().replace("source: sample", "source: custom").replace(WITH_COLUMNS, NO_COLUMNS)
    urls = "['http://127.0.0.1:9/a.csv', mine.csv]"
    paths.PARAMS.write_text(text.replace("    file: spam.tsv\n    urls: []", f"    file: mine.csv\n    urls: {urls}"))
    assert list(refresh.refresh_local(config.load())) == []
    files.write_json(
        paths.source_record("spam"), {"origin": "mine.csv", "fetched": {"sha256": "0" * 64}}
    )  # it did not answer then
    assert len(list(refresh.refresh_local(config.load()))) == 1


def test_the_old_bytes_never_come_back_from_dvcs_cache(repository):
    """To the sample and back to a file that was corrected meanwhile: DVC knows a run with these very parameters."""
    own = (
        paths.PARAMS.read_text()
        .replace("- a.tsv\n    - b.tsv", "- mine.csv")
        .replace("file: spam.tsv", "file: mine.csv")
    )
    sample = profiles.text("mini")
    for content in (TABLE, TABLE + "ham,bye\n"):
        if paths.raw_folder("spam").exists():
            paths.PARAMS.write_text(sample)
            run("dvc", "repro", "download@spam")
        Path("mine.csv").write_text(content)
        paths.PARAMS.write_text(own)
        assert len(list(refresh.refresh_local(config.load()))) == 1
        run("dvc", "repro", "download@spam")
        assert paths.raw_file("spam", "mine.csv").read_text() == content
