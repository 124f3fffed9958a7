"""What goes wrong outside of the code is one message that names the path; what a file says is no command for the terminal."""

import errno
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from gptmill.core import errors, files, paths, terminal
from gptmill.core.errors import GptmillError, Unreadable

ESCAPE = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e"
DEEP = '{"a":' * 100_000
PIPE = "is a pipe, a socket or a device"


def gptmill_process(*words: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "gptmill", *words]
    return subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False, timeout=60, **options)


@pytest.fixture
def gptmill(monkeypatch, capsys) -> Callable[..., SimpleNamespace]:
    """`gptmill("params", "check")`, in this process: its returncode, stdout and stderr."""
    from gptmill import cli

    def run(*words: str) -> SimpleNamespace:
        monkeypatch.setattr(sys, "argv", ["gptmill", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return SimpleNamespace(returncode=ended.value.code or 0, stdout=printed.out, stderr=printed.err)

    return run


@pytest.mark.parametrize("number", [*errors._ADVICE, errno.EBUSY, errno.ETXTBSY])
def test_an_error_of_the_system_is_one_line_that_names_the_path(number):
    expected = errors.explain(OSError(number, os.strerror(number), "data/raw/a.txt"))
    assert "data/raw/a.txt" in expected and "\n" not in expected and "{" not in expected
    assert "{" not in errors.explain(OSError(number, os.strerror(number)))


@pytest.mark.parametrize(
    "error", [RecursionError(), MemoryError(), OSError("odd"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")]
)
def test_what_has_no_path_says_how_to_find_it(error):
    assert "GPTMILL_DEBUG=1" in errors.explain(error)


def test_a_fault_of_the_code_keeps_its_traceback():
    assert errors.explain(KeyError("x")) is None
    with pytest.raises(KeyError), terminal.exit_on_error():
        raise KeyError("x")


def test_debugging_shows_where_an_error_came_from(monkeypatch):
    monkeypatch.setenv("GPTMILL_DEBUG", "1")
    with pytest.raises(GptmillError), terminal.exit_on_error():
        raise GptmillError("x")


def test_a_full_disk_under_standard_output_is_one_message(project):
    with open("/dev/full", "w") as full:
        done = gptmill_process("params", "show", stdout=full)
    assert done.returncode == 1 and done.stderr == "error: no space left on the disk. Free some, then run it again\n"


def test_a_disk_that_fills_up_during_a_stage_is_one_message_and_leaves_nothing_half_written(project):
    """A limit of the file size stands in for the disk: it needs no privileges."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    done = gptmill_process("stage", "download", "corpus", preexec_fn=limit, stdout=subprocess.DEVNULL)
    assert (
        done.returncode == 1
        and done.stderr.startswith("error: a file grows larger")
        and "data/raw/corpus/corpus.txt" in done.stderr
    )
    assert len(done.stderr.splitlines()) == 1
    assert not paths.RAW.exists()


def test_a_write_that_fails_names_its_file(tmp_path):
    with pytest.raises(OSError) as caught, files.atomic(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert (
        errors.explain(caught.value) == f"no space left on the disk of {tmp_path}/a.txt. Free some, then run it again"
    )


@pytest.mark.parametrize(("text", "expected"), [
    (DEEP, "is nested too deeply"), ("9" * 5000, "can't be read: Exceeds the limit"), ("{", "is not JSON"), (b"\xff", "it is not UTF-8"),
], ids=["deep", "digits", "broken", "latin"])  # fmt: skip
def test_json_that_can_not_be_read_is_one_error_with_its_path(tmp_path, text, expected):
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for read in (files.read_json, files.read_jsonl):
        with pytest.raises(Unreadable) as caught:
            read(path)
        assert str(path) in str(caught.value) and expected in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("words", [["judge", "file"], ["judge", "agreement", "--against", "x"], ["params", "check"]])
@pytest.mark.parametrize("kind", ["pipe", "device", "deep", "digits", "folder"])
def test_a_file_that_is_none_is_refused_with_its_path(project, gptmill, words, kind):
    path = Path("a.json")
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
        case _:
            path.write_text(DEEP if kind == "deep" else f'[{{"a": {"9" * 5000}}}]')
    done = gptmill(*words, "a.json")
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "a.json" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and (PIPE in done.stderr) == (kind in ("pipe", "device"))


@pytest.mark.parametrize("text", [DEEP, "[]", "{}", '{"test": {"accuracy": 1e999}}', "9" * 5000])
def test_summary_of_metrics_that_are_not_what_a_stage_writes(project, gptmill, text):
    paths.METRICS.mkdir()
    for name in ("pretrain", "classifier", "judge"):
        (paths.METRICS / f"{name}.json").write_text(text)
    done = gptmill("summary")
    assert done.returncode == 1 and done.stderr.startswith("error: ") and "metrics/" in done.stderr
    assert len(done.stderr.splitlines()) == 1


# --- the terminal ---


def test_control_characters_become_visible_and_text_stays():
    assert terminal.escape_controls("a\tb\nc\r\n£ 猫 👩‍🔬") == "a\tb\nc\r\n£ 猫 👩‍🔬"
    assert (
        terminal.escape_controls("\x1b[31m\r\x00\x7f\x9b\u2028\u202e\ud800")
        == "\\u001b[31m\\u000d\\u0000\\u007f\\u009b\\u2028\\u202e\\ud800"
    )
    value = {"a": ESCAPE}
    assert json.loads(terminal.escape_controls(json.dumps(value, ensure_ascii=False))) == value


def test_every_way_to_the_terminal_takes_control_characters_out(capsys):
    from rich.table import Table

    terminal.say(ESCAPE)
    terminal.say(ESCAPE, err=True)
    table = Table("a")
    table.add_row("[/red] [bold]x" + ESCAPE)
    terminal.console(width=100).print(table, ESCAPE)
    with terminal.escape_prints():
        print(ESCAPE)
    with pytest.raises(SystemExit), terminal.exit_on_error():
        raise GptmillError(ESCAPE)
    expected = capsys.readouterr()
    assert not set(expected.out + expected.err) & set("\x1b\x07\x9b\u202e")
    assert (expected.out + expected.err).count("\\u001b]0;title") == 6 and "[/red] [bold]x" in expected.out


def test_warnings_take_control_characters_out():
    program = "from gptmill.core import terminal; import logging\n"
    program += f"with terminal.exit_on_error(): logging.getLogger('gptmill').warning({ESCAPE!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.startswith("\\u001b]0;title\\u0007")


def test_names_and_contents_of_files_do_not_reach_the_terminal_as_they_are(project, gptmill):
    record = {"instruction": ESCAPE, "output": ESCAPE, "response": 7}
    Path(f"{ESCAPE}.json").write_text(json.dumps([record]))
    paths.RAW.mkdir(parents=True)
    files.write_json(paths.source_record("spam"), {"origin": ESCAPE})
    paths.PARAMS.write_text(
        paths.PARAMS.read_text().replace("labels: [ham, spam]", json.dumps({"labels": ["ham", ESCAPE]})[1:-1])
    )
    for words in (
        ["judge", "file", f"{ESCAPE}.json"],
        ["doctor"],
        ["params", "check"],
        ["params", "show"],
        ["stage", ESCAPE],
    ):
        done = gptmill(*words)
        assert not set(done.stdout + done.stderr) & set("\x1b\x07\x9b\u202e"), words


# --- the wrong folder ---

ANY = "gptmill-classifier@champion"


@pytest.mark.parametrize("words", [
    ["stage", "validate"], ["params", "check"], ["params", "use", "mini"], ["data", "refresh"], ["sync"], ["promote"],
    ["rollback", "base"], ["lineage", ANY], ["report"], ["summary"], ["doctor"], ["generate", "x"], ["ask", "x"], ["classify", "x"],
    ["model", "show"], ["judge", "agreement", "x.json", "--against", "x"], ["weights", "export", "models/base", "--to", "x"],
], ids=" ".join)  # fmt: skip
def test_from_a_subfolder_each_verb_names_the_projects_root_and_writes_nothing(project, gptmill, words, monkeypatch):
    Path("sub/folder").mkdir(parents=True)
    monkeypatch.chdir("sub/folder")
    done = gptmill(*words)
    assert done.returncode == 1
    assert done.stderr.endswith(f"Run it from the root: cd {project}\n")
    assert list(Path().iterdir()) == []


def test_elsewhere_no_root_is_named(tmp_path, gptmill, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert paths.enclosing_project() is None
    done = gptmill("params", "check")
    assert done.stderr.startswith("error: params.yaml not found") and "subfolder" not in done.stderr
