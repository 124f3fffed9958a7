import json

import pytest
from typer.testing import CliRunner

from gptmill.cli import app
from gptmill.commands import bench
from gptmill.core.errors import GptmillError


def test_the_bench_measures_speed_and_memory_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    done = CliRunner().invoke(app, ["data", "bench", "--size", "2MB"], catch_exceptions=False)
    assert done.exit_code == 0
    for expected in ("corpus: 2 MB, ", "encode_ordinary: ", "million tokens/s", "times one core: ", "peak memory: "):
        assert expected in done.output
    assert list(tmp_path.iterdir()) == []


def test_the_corpus_has_the_size_asked_for_and_the_same_bytes_each_time(tmp_path, monkeypatch):
    monkeypatch.setattr(
        bench.sample, "stories", lambda: ["One here. Two there.", "Three now. Four then.", "Five. Six. Seven."]
    )
    for name in ("one", "two"):
        bench._write_corpus(tmp_path / name, 20_000)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert 20_000 <= (tmp_path / "one").stat().st_size < 20_100


def test_the_child_reports_numbers(tmp_path, tokenizer):
    (tmp_path / "tokenizer").mkdir()
    tokenizer.save(tmp_path / "tokenizer")
    bench._write_corpus(tmp_path / "corpus.txt", 100_000)
    made = bench._tokenize_in_subprocess(tmp_path, 2)
    assert made["peak"] > 10_000_000 and made["tokens"] > 1000 and made["documents"] > 10 and json.dumps(made)


@pytest.mark.parametrize(
    ("size", "count"), [("100MB", 10**8), ("1GB", 10**9), (" 1.5 gb", 1_500_000_000), ("200KB", 200_000)]
)
def test_sizes_are_read_as_people_write_them(size, count):
    assert bench.parse_size(size) == count


@pytest.mark.parametrize("size", ["1", "GB", "1TB", "-1GB", "0.001MB", "1e3MB", "", "1 GiB"])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(GptmillError, match="is not a valid size: write 100MB or 1GB"):
        bench.parse_size(size)


def test_a_full_disk_is_told_before_anything_is_written(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(GptmillError, match="are needed: make room"):
        bench.run(10**18)
    assert list(tmp_path.iterdir()) == []
