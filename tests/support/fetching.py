"""Fetch a source of one's own into the working folder, or be refused."""

from pathlib import Path

import pytest

from gptmill.core import files
from gptmill.core.errors import GptmillError
from gptmill.ingest import custom
from gptmill.ingest.custom import SourceSpec


def source_spec(
    *urls: str, name: str = "spam", file: str = "topics.csv", member: str = "", sha256: str = "", megabytes: int = 1
) -> SourceSpec:
    return SourceSpec(name, file, urls, member, sha256, "CC BY 4.0", megabytes)


def fetch(one: SourceSpec, before: dict | None = None) -> tuple[bytes, dict]:
    to = Path("data/raw", one.file)
    record = custom.fetch(one, to, before)
    assert to.exists() and not list(to.parent.glob(".*"))
    assert record["sha256"] == files.digest(to) and record["bytes"] == to.stat().st_size
    return to.read_bytes(), record


def refusal(one: SourceSpec, before: dict | None = None) -> str:
    with pytest.raises(GptmillError) as caught:
        custom.fetch(one, Path("data/raw", one.file), before)
    assert not Path("data").exists(), "something half-written was left"
    return str(caught.value)
