from pathlib import Path

import pytest

from gptmill.core.errors import Unreadable
from gptmill.tracking import dvc_lock
from gptmill.tracking.dvc_lock import LOCK, StageReceipt

TEXT = """
schema: '2.0'
stages:
  split:
    cmd: gptmill stage split
    deps:
    - {path: data/clean, md5: a1.dir, size: 7, nfiles: 2}
    params:
      params.yaml: {seed: 1}
    outs:
    - {path: data/spam, md5: b2.dir, size: 9, nfiles: 3}
    - {path: metrics/split.json}
  bare:
    cmd: 'true'
"""


def test_receipts_are_read_from_the_file_and_from_a_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert dvc_lock.read() == {}
    LOCK.write_text(TEXT)
    split = StageReceipt(
        "gptmill stage split",
        {"params.yaml": {"seed": 1}},
        {"data/clean": "a1.dir"},
        {"data/spam": ("b2.dir", 9), "metrics/split.json": ("", 0)},
    )
    assert dvc_lock.read() == dvc_lock.parse(TEXT) == {"split": split, "bare": StageReceipt("true", {}, {}, {})}
    assert dvc_lock.parse("") == {}
    with pytest.raises(Unreadable, match="dvc.lock"):
        dvc_lock.parse("stages: [")


def test_a_stages_outputs_are_hashed_as_dvc_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert dvc_lock.hash_outputs("split") == {}
    Path("dvc.yaml").write_text(
        "stages: {split: {cmd: x, outs: [data], metrics: [{m.json: {cache: false}}, gone.json]}}"
    )
    Path("m.json").write_text("{}")
    Path("data").mkdir()
    Path("data", "a").write_text("a")
    hashes = dvc_lock.hash_outputs("split")
    assert hashes["m.json"] == "99914b932bd37a50b983c5e7c90ae93b"
    assert list(hashes) == ["data", "m.json"] and hashes["data"].endswith(".dir")
    assert dvc_lock.hash_outputs("other") == {}
