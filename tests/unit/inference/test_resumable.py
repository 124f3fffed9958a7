import pytest

from gptmill.inference.resumable import ResumableJsonl


@pytest.fixture
def progress(tmp_path) -> ResumableJsonl:
    return ResumableJsonl(tmp_path / "own" / "responses" / "fingerprint" / "model.jsonl")


def test_what_is_finished_is_found_again(progress, tmp_path):
    assert progress.finished() == {}
    progress.add("a", [{"text": "naïve 猫\n\u2028\x00"}])
    progress.add("b", None)
    assert ResumableJsonl(tmp_path / "own" / "responses" / "fingerprint" / "model.jsonl").finished() == {
        "a": [{"text": "naïve 猫\n\u2028\x00"}],
        "b": None,
    }


def test_a_torn_line_is_dropped_wherever_it_was_torn(progress):
    progress.add("a", "first")
    progress.add("b", "second")
    whole = progress._path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(first, len(whole)):
        progress._path.write_bytes(whole[:cut])
        assert progress.finished() == {"a": "first"}
        progress.add("b", "second")
        assert progress._path.read_bytes() == whole
