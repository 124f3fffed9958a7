import hashlib
import os
import subprocess
import sys

import pytest

from gptmill.core import files


def test_a_file_appears_when_its_block_ends_and_not_before(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with files.atomic(path) as tmp:
        tmp.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_block_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, kind):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(RuntimeError, match="disk"), files.atomic(path) as tmp:
        if kind == "folder":
            tmp.mkdir()
            (tmp / "part").write_text("half")
        else:
            tmp.write_text("half")
        raise RuntimeError("disk is full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_is_interrupted_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), files.atomic(tmp_path / "a") as tmp:
        tmp.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("nothing", "file"), ("file", "file"), ("nothing", "folder"), ("file", "folder"), ("folder", "folder")],
)
def test_what_is_new_replaces_whatever_was_there(tmp_path, old, new):
    path = tmp_path / "a"
    if old == "folder":
        path.mkdir()
        (path / "old").write_text("old")
    elif old == "file":
        path.write_text("old")
    with files.atomic(path) as tmp:
        if new == "folder":
            tmp.mkdir()
            (tmp / "new").write_text("new")
        else:
            tmp.write_text("new")
    assert [p.name for p in path.iterdir()] == ["new"] if new == "folder" else path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), files.atomic(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_killed_runs_left_is_swept_and_what_others_write_now_is_not(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = [tmp_path / f".a.txt.{gone.pid}.part", tmp_path / f".a.txt.{2**70}.part"]
    others = [
        tmp_path / f".a.txt.{os.getppid()}.part",
        tmp_path / f".b.txt.{gone.pid}.part",
        tmp_path / ".a.txt.mine.part",
    ]
    left[0].mkdir()
    (left[0] / "half").touch()
    for path in (left[1], *others):
        path.touch()
    files.write_text(tmp_path / "a.txt", "whole")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "a.txt", *others])


def test_json_comes_back_as_it_went_in_and_is_readable(tmp_path):
    value = {"b": "£ 猫 🐈", "a": [1, 2.5, None, True]}
    files.write_json(tmp_path / "a.json", value)
    assert files.read_json(tmp_path / "a.json") == value
    text = (tmp_path / "a.json").read_bytes().decode("utf-8")
    assert "£ 猫 🐈" in text and text.endswith("}\n") and "\r" not in text
    assert text.index('"b"') < text.index('"a"')


def test_json_lines_come_back_as_they_went_in(tmp_path):
    records = [{"text": "one\ntwo\u2028three\x85four"}, {"text": ""}, {"text": "£"}]
    files.write_jsonl(tmp_path / "a.jsonl", iter(records))
    assert files.read_jsonl(tmp_path / "a.jsonl") == records
    assert (tmp_path / "a.jsonl").read_bytes().count(b"\n") == 3


def test_records_that_fail_to_come_leave_no_file(tmp_path):
    with pytest.raises(ZeroDivisionError):
        files.write_jsonl(tmp_path / "a.jsonl", ({"n": 1 // n} for n in (1, 0)))
    assert list(tmp_path.iterdir()) == []


def test_digests_are_those_of_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 300_000)
    assert files.digest(tmp_path / "a") == hashlib.sha256(b"x" * 300_000).hexdigest()
    assert files.digest(tmp_path / "a", "md5") == hashlib.md5(b"x" * 300_000).hexdigest()


def test_clearing_removes_no_more_empty_folders_above_than_asked(tmp_path):
    for above, left in ((0, ["a", "a/b"]), (1, ["a"]), (2, [])):
        (tmp_path / "a/b/c/d").mkdir(parents=True)
        files.remove_folder(tmp_path / "a/b/c", above)
        assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == left
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/other").mkdir()
    files.remove_folder(tmp_path / "a/b/c", above=9)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["other"]
    files.remove_folder(tmp_path / "nowhere", above=0)
