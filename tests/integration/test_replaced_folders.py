"""A model folder that is replaced while others read it: no reader fails, and none mixes two versions."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gptmill.core import files
from gptmill.core.errors import GptmillError
from gptmill.inference.models import Assistant, TextClassifier
from gptmill.model.folder import ModelFolder
from gptmill.model.gpt import GPTClassifier
from gptmill.model.lineage import Lineage
from gptmill.pretrained import convert
from gptmill.text import prompts, token_files
from gptmill.text.tokenizer import Tokenizer

CONTEXTS = {"a": 16, "b": 24}  # by which the versions' weights are told apart
WRITER = """
import shutil, sys
from itertools import cycle
from pathlib import Path
from gptmill.core import files

target, exchange, *versions = sys.argv[1:]
if exchange == "False":
    files._exchange = lambda one, other: False
for version in cycle(versions):
    with files.atomic(Path(target)) as tmp:
        shutil.copytree(version, tmp)
"""


@pytest.fixture
def versions(make_gpt, tokenizer, tmp_path) -> list[Path]:
    """Two versions of a folder that differ in everything that is read of it."""
    from gptmill.model.lineage import Lineage

    made = []
    for (name, context), size, template in zip(CONTEXTS.items(), (300, 280), ("alpaca", "phi3"), strict=True):
        own = Tokenizer.train(["the miller had a mill, a cat and three sons " * 9], size)
        model = make_gpt(vocab_size=own.vocab_size, context_length=context)
        lineage = Lineage(name, "", {}, {}, {})
        ModelFolder(tmp_path / name).save(
            model, own, max_length=context - 1, template=prompts.TEMPLATES[template], lineage=lineage
        )
        ModelFolder(tmp_path / f"{name}-classifier").save(
            GPTClassifier(model.backbone, [name, "other"]), own, max_length=context - 1
        )
        made.append(tmp_path / name)
    return made


def assistant(folder: Path) -> set[str]:
    found = Assistant(folder)
    by_context = {str(context): name for name, context in CONTEXTS.items()}
    template = {"alpaca": "a", "phi3": "b"}[found.template.name]
    size = "a" if found.tokenizer.vocab_size > 280 else "b"
    return {by_context[str(found.model.config.context_length)], size, template}


def classifier(folder: Path) -> set[str]:
    found = TextClassifier(folder)
    return {found.model.labels[0], {context - 1: name for name, context in CONTEXTS.items()}[found.max_length]}


def exported(folder: Path) -> set[str]:
    to = folder.parent / f"out-{threading.get_ident()}-{time.monotonic_ns()}"
    convert.export_weights(folder, to, "huggingface")
    lineage = Lineage.read(to)
    assert files.digest(to / Lineage.WEIGHTS) == lineage.weights
    return {lineage.stage} | assistant(to)


def shown(folder: Path) -> set[str]:
    told = convert.show_model(str(folder))
    return {name for name, context in CONTEXTS.items() if f"{context} tokens" in told}


READERS = {"assistant": assistant, "classifier": classifier, "exported": exported, "shown": shown}


def race(
    read: Callable[[Path], set[str]], versions: list[Path], exchange: bool, seconds: float, readers: int = 1
) -> int:
    """How many times the folder was read while another process replaced it."""
    if read is classifier:
        versions = [version.with_name(f"{version.name}-classifier") for version in versions]
    folder = versions[0].parent / "model"
    with files.atomic(folder) as tmp:
        shutil.copytree(versions[0], tmp)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, folder, str(exchange), *versions])
    seen: list[str] = []

    def repeat() -> int:
        count, until = 0, time.monotonic() + seconds
        while time.monotonic() < until or (len(set(seen)) < 2 and time.monotonic() < until + 60):
            [version] = read(folder)  # one name: of one version
            seen.append(version)
            count += 1
        return count

    try:
        with ThreadPoolExecutor(readers) as pool:
            counts = [future.result() for future in [pool.submit(repeat) for _ in range(readers)]]
        assert writer.poll() is None, "the writer failed"
    finally:
        writer.kill()
        writer.wait()
    assert set(seen) == {"a", "b"}
    return sum(counts)


@pytest.mark.parametrize("reader", READERS)
def test_a_folder_that_is_replaced_is_read_as_one_version(versions, reader):
    assert race(READERS[reader], versions, exchange=True, seconds=0.5)


@pytest.mark.parametrize("reader", ["assistant", "shown"])
def test_a_folder_is_read_as_one_version_where_folders_cannot_be_exchanged(versions, reader):
    assert race(READERS[reader], versions, exchange=False, seconds=0.5)


@pytest.mark.long
@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("reader", READERS)
def test_thousands_of_readers_of_a_folder_that_is_replaced(versions, reader, exchange):
    print(race(READERS[reader], versions, exchange, seconds=60, readers=4), "reads")


def test_token_files_are_read_as_one_version(tmp_path, monkeypatch):
    import numpy as np

    def write(count: int) -> None:
        token_files.write(tmp_path / "tokens", [np.full(count, count, dtype=token_files.DTYPE)], 300, 0.1, 8)

    write(100)
    real, writers = token_files.paths_of, []

    def replaced_meanwhile(folder: Path, split: str) -> list[Path]:
        if not writers:
            writers.append(threading.Thread(target=write, args=[200]))
            writers[0].start()
            while files.read_json(tmp_path / "tokens/meta.json")["train_tokens"] != 180:
                time.sleep(0.01)
        return real(folder, split)

    monkeypatch.setattr(token_files, "paths_of", replaced_meanwhile)
    found = token_files.read(tmp_path / "tokens", "train")
    assert found.tolist() in ([100] * 90, [200] * 180)
    writers[0].join()
    assert token_files.read(tmp_path / "tokens", "train").tolist() == [200] * 180
    assert [path.name for path in tmp_path.iterdir()] == ["tokens"]


# --- `read_snapshot` alone ---


def test_what_fails_in_a_folder_that_stays_is_raised_at_once(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        calls = []

        def read(place: Path, calls=calls) -> None:
            calls.append(place)
            (place / "model.json").read_text()

        with pytest.raises(FileNotFoundError) as error:
            files.read_snapshot(folder, read)
        assert len(calls) == 1 and error.value.filename == str(folder / "model.json")


@pytest.mark.parametrize("change", ["a file's content", "a new file", "removed and renamed"])
@pytest.mark.parametrize("fails", [True, False])
def test_a_folder_that_others_change_is_read_again(tmp_path, change, fails):
    """As DVC or an older gptmill do it, who know of no readers."""
    folder, calls = tmp_path / "model", []

    def read(place: Path) -> str:
        calls.append(place)
        content = (place / "a.json").read_text()
        if len(calls) == 1:
            if change == "removed and renamed":
                shutil.rmtree(folder)
                (tmp_path / "new").rename(folder)
            else:
                (folder / ("b.json" if change == "a new file" else "a.json")).write_text("[22]")
            if fails:
                raise OSError("gone")
        return content

    for path, content in ((folder, "[1]"), (tmp_path / "new", "[22]")):
        path.mkdir()
        (path / "a.json").write_text(content)
    assert files.read_snapshot(folder, read) == ("[1]" if change == "a new file" else "[22]")
    assert len(calls) == 2


def test_a_folder_that_never_stays_is_one_error(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_PATIENCE", 0.1)
    with pytest.raises(GptmillError, match="replaced again and again"):
        files.read_snapshot(tmp_path, lambda folder: (folder / f"{time.monotonic_ns()}").touch())
