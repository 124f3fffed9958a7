"""Cache keys of partial results: what changes them, and what does not."""

import shutil
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

from gptmill import config
from gptmill.config import schema
from gptmill.runtime import cache_key, device


@pytest.fixture
def values(project) -> schema.Params:
    (project / "inputs").mkdir()
    (project / "inputs" / "a.bin").write_bytes(b"abc")
    return config.load()


def key_of(values: schema.Params, **changes: object) -> str:
    sections = {"seed": values.seed, "base": values.base, **device.settings(values.compute)} | changes
    return cache_key.of_stage("pretrain", sections, [Path("inputs")])


def test_the_cache_key_is_the_same_each_time(values):
    assert key_of(values) == key_of(config.load())


def test_the_cache_key_changes_with_params_and_data(values):
    seen = {key_of(values)}
    seen.add(key_of(values, seed=values.seed + 1))
    seen.add(key_of(values, base=values.base.model_copy(update={"micro_batch_size": 1})))
    seen.add(key_of(values, **device.settings(values.compute.model_copy(update={"precision": "bf16"}))))
    Path("inputs/a.bin").write_bytes(b"abd")
    seen.add(key_of(values))
    Path("inputs/b.bin").write_bytes(b"")  # one more shard
    seen.add(key_of(values))
    Path("inputs/b.bin").rename("inputs/c.bin")
    seen.add(key_of(values))
    assert len(seen) == 7


def test_the_cache_key_does_not_change_with_how_fast_or_in_how_much_memory(values):
    changed = {"threads": 7, "checkpoint_activations": True, "checkpoint_minutes": 1.0}
    assert key_of(values, **device.settings(values.compute.model_copy(update=changed))) == key_of(values)


def test_the_cache_key_changes_with_the_code_that_computes(values, tmp_path, monkeypatch):
    copy = tmp_path / "gptmill"
    shutil.copytree(cache_key.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = key_of(values)
    monkeypatch.setattr(cache_key, "PACKAGE", copy)
    assert key_of(values) == before  # wherever it is installed
    for name in ("training/trainer.py", "model/attention.py", "stages/pretrain.py", "runtime/device.py"):
        with (copy / name).open("a") as file:
            file.write("# changed\n")
        assert key_of(values) != before
        before = key_of(values)
    with (copy / "cli.py").open("a") as file:
        file.write("# changed\n")
    assert key_of(values) == before


def test_the_cache_key_changes_with_torch(values, monkeypatch):
    before = key_of(values)
    monkeypatch.setattr(torch, "__version__", "2.99")
    assert key_of(values) != before


@pytest.mark.parametrize("stage", ["pretrain", "finetune_classifier", "finetune_instruct", "generate_responses"])
def test_the_cache_key_is_of_the_code_that_the_graph_names(project, root, stage):
    deps = YAML(typ="safe").load((root / "dvc.yaml").read_text())["stages"][stage]["deps"]
    assert cache_key.code(stage) == sorted(
        dep.removeprefix("src/gptmill/") for dep in deps if dep.startswith("src/gptmill/")
    )
    assert f"stages/{stage}.py" in cache_key.code(stage) and "model" in cache_key.code(stage)
