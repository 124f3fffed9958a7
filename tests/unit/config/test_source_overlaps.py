"""Sources of data that lie in what runs write and remove: refused, however they are written, and nothing else is."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gptmill import config
from gptmill.cli import app
from gptmill.config import source_overlaps
from gptmill.core import paths
from gptmill.core.errors import GptmillError


@pytest.fixture
def places(project, tmp_path_factory, monkeypatch) -> Path:
    """A project with links and files in and around it; its parent is where `~` is."""
    home = tmp_path_factory.mktemp("around")
    monkeypatch.setenv("HOME", str(home))
    (home / "project").symlink_to(project)
    (home / "raw").symlink_to(project / "data/raw")
    (home / "mine").mkdir()
    (home / "mine/a.csv").write_text("label,text\n")
    Path("link").symlink_to("data/raw")
    Path("loop").symlink_to("loop")
    Path("mine").symlink_to(home / "mine")
    return home


@pytest.mark.parametrize(("address", "output"), [
    ("data/raw/topics.csv", "data/raw"), ("data/raw", "data/raw"), ("./data//raw/x/../topics.csv", "data/raw"),
    ("data", "data/raw"), (".", "data/raw"), ("..", "data/raw"), ("/", "data/raw"), ("~/project", "data/raw"), ("~", None),
    ("link/topics.csv", "data/raw"), ("~/raw/topics.csv", "data/raw"), ("~/project/data/clean/a.csv", "data/clean"),
    ("profiles/../data/raw/a.csv", "data/raw"), ("file:data/raw/a.csv", None), ("file://data/raw/a.csv", "data/raw"),
    ("file://data/%72aw/a.csv", "data/raw"), ("FILE://data/raw", "data/raw"),
    ("data/*/topics.csv", "data/raw"), ("da?a/raw/*.csv", "data/raw"), ("**/*.csv", "data/raw"), ("data/**", "data/raw"),
    ("*/../data/raw/*.csv", "data/raw"), ("**/" * 900 + "x", "data/raw"),
    ("mine/" + "**/" * 900 + "x", None), ("data/[r]aw/*", "data/raw"), ("~/*/data/spam/*.csv", None), ("~/raw/*.csv", "data/raw"),
    ("models/base/vocab.json", "models"), ("reports/*.jsonl", "reports"), ("metrics/judge.json", "metrics"), ("plots", "plots"),
    ("data/tokens/a", "data/tokens"), ("data/quarantine/a.csv", "data/quarantine"), ("data/instructions/a.json", "data/instructions"),
    (".gptmill/a.csv", ".gptmill"), (".dvc/cache/files/md5/00/0", ".dvc"),
    ("data/sources/spam/topics.csv", None), ("data/sources", None), ("data/sources/corpus/*", None), ("data/sources/../raw/a", "data/raw"),
    ("data/raw.csv", None), ("data/rawer/a.csv", None), ("../data/raw/a.csv", None), ("mine/a.csv", None), ("mine", None), ("*.csv", None),
    ("data/*.csv", None), ("loop/a.csv", None), ("~nobody-here/a.csv", None), ("http://host/data/raw/a.csv", None), ("s3://data/raw", None),
])  # fmt: skip
def test_an_address_that_an_output_is_in_or_that_is_in_an_output(places, address, output):
    result = source_overlaps.overlapping_output(address)
    assert (str(result) if result else None) == output


def use(address: str) -> None:
    text = (
        paths.PARAMS.read_text()
        .replace("source: sample", "source: custom")
        .replace("columns: [label, text]", "columns: []")
    )
    paths.PARAMS.write_text(
        text.replace("    file: spam.tsv\n    urls: []", f"    file: topics.csv\n    urls: ['{address}']")
    )


@pytest.mark.parametrize("address", ["data/raw/topics.csv", "~/mine", "~/mine/*.csv", "~/mine/link.csv"])
def test_the_check_of_params_says_so_and_the_file_stays(places, address):
    own = paths.RAW / "topics.csv"
    own.parent.mkdir()
    own.write_text("label,text\n")
    (places / "mine/link.csv").symlink_to(own.absolute())
    use(address)
    done = CliRunner().invoke(app, ["params", "check"])
    assert isinstance(done.exception, GptmillError) and "data/raw/, which runs write and remove" in str(done.exception)
    assert own.exists()


def test_the_same_folder_under_another_name_is_found(project, monkeypatch):
    """As on a disk where case plays no part: the names differ, the folder is one."""
    monkeypatch.setattr("os.path.exists", lambda path: True)
    monkeypatch.setattr("os.path.samefile", lambda one, other: str(one).lower() == str(other).lower())
    assert (
        source_overlaps.overlapping_output("data/RAW/a.csv") == paths.RAW
        and source_overlaps.overlapping_output("data/RAWER/a.csv") is None
    )


@pytest.mark.parametrize("address", ["a\\0b.csv", "file://%00", "\\uD800.csv", "x" * 5000, "y" * 300])
def test_what_no_file_system_can_have_is_one_error(project, address):
    text = paths.PARAMS.read_text().replace("source: sample", "source: custom")
    paths.PARAMS.write_text(
        text.replace("    file: spam.tsv\n    urls: []", f'    file: spam.tsv\n    urls: ["{address}"]')
    )
    with pytest.raises(
        GptmillError, match="data.spam: urls: (.*can't be a path|.*is too long for a path|an address must not be empty)"
    ):
        config.load()


@pytest.mark.parametrize("option", [
    "--log-dir /tmp/logs", "--log_dir=/tmp/logs", "--log-d /tmp", "-r 3", "-t3", "--redirects=3", "--no-python", "-m", "--run-path",
    "--logs-specs x", "--event-log-handler x", "--rdzv-conf store_type=file", "--", "--module",
])  # fmt: skip
def test_of_torchruns_options_those_that_write_or_start_something_are_refused(project, option):
    text = paths.PARAMS.read_text()
    for launcher in (f"torchrun {option}", f"torchrun --standalone --nproc-per-node 2 {option}"):
        paths.PARAMS.write_text(text.replace('launcher: ""', f'launcher: "{launcher}"'))
        with pytest.raises(GptmillError, match="compute.launcher: .* is not allowed; allowed options of torchrun"):
            config.load()


def test_the_name_of_a_raw_file_is_no_longer_than_a_file_system_takes(project):
    use("mine.csv")
    text = paths.PARAMS.read_text()
    for name, fits in (
        ("é" * 95 + ".csv", False),
        ("e" * 196 + ".csv", True),
        ("e" + "é" * 90 + ".csv", True),
        ("e" * 300 + ".csv", False),
    ):
        paths.PARAMS.write_text(text.replace("topics.csv", name))
        if fits:
            assert config.load().data.spam.file == name
        else:
            with pytest.raises(GptmillError, match="data.spam: file"):
                config.load()
