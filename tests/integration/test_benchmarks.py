import re
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import orchestration, run, table, textbook, work

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"\| (?P<what>[^|]+) \|(?: [^|]+ \|){3} (?P<ratio>[\d.]+) \| (?P<target>[\d.]+) \|")
PROMISED = [  # in the order of the table: what must reach which ratio
    ("pretraining step", 1.4), ("the same", 2.5), ("the same, share of the bf16 peak", 0.6),
    ("the same, share of the fastest product", 0.6), ("the same, peak memory", 1.0), ("classifier fine-tuning", 10.0),
    ("instruction fine-tuning", 4.0), ("the same", 1.5), ("the same, peak memory", 1.0),
    ("generation, 16 prompts", 1.5), ("the same", 40.0), ("generation, one prompt", 1.5), ("tinyshakespeare", 2.0),
    ("flow with nothing to do", 1.0), ("whole flow", 1.0),
]  # fmt: skip


def rows(text: str) -> list[tuple[str, float, float]]:
    return [(found["what"], float(found["ratio"]), float(found["target"])) for found in ROW.finditer(text)]


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> str:
    """The report of a run at miniature size: every contender runs in a process of its own."""
    import subprocess

    out = tmp_path_factory.mktemp("bench") / "RESULTS.md"
    subprocess.run(
        [sys.executable, "-m", "benchmarks.run", "--small", "--out", str(out)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return out.read_text(encoding="utf-8")


def test_a_run_measures_every_row_but_those_whose_data_are_not_here(small):
    found = rows(small)
    assert [target for _, _, target in found] == [target for _, target in PROMISED[:-3]]
    assert all(
        what.startswith(name.replace("16 prompts", "3 prompts"))
        for (what, _, _), (name, _) in zip(found, PROMISED, strict=False)
    )
    assert all(ratio > 0 for _, ratio, _ in found)
    assert (
        "tinyshakespeare was not measured" in small
        and "What Prefect costs was not measured" in small
        and "the sample's" in small
    )


def test_a_flow_that_takes_what_it_may_has_a_ratio_of_one():
    allowed = orchestration.Overhead(idle_flow=6.0, idle_repro=1.0, whole_flow=46.0, whole_repro=40.0)
    assert [row.ratio for row in allowed.rows()] == pytest.approx([1, 1])
    slow = orchestration.Overhead(idle_flow=12.0, idle_repro=1.0, whole_flow=92.0, whole_repro=40.0)
    assert [row.ratio for row in slow.rows()] == pytest.approx([0.5, 0.5])


def test_the_committed_results_have_every_row():
    found = rows(run.OUT.read_text(encoding="utf-8"))
    assert [target for _, _, target in found] == [target for _, target in PROMISED]
    assert all(what.startswith(name) for (what, _, _), (name, _) in zip(found, PROMISED, strict=True))


def test_the_textbook_computes_what_our_model_computes(make_gpt):
    ours = make_gpt(vocab_size=40)
    theirs = textbook.Model(40, 16, 2, 2, 16)
    state = dict(ours.backbone.state_dict())
    with torch.no_grad():
        theirs.tokens.weight.copy_(state["token_embedding.weight"])
        theirs.positions.weight.copy_(state["position_embedding.weight"])
        pairs = [(theirs.norm, "final_norm")]
        for i, block in enumerate(theirs.blocks):
            pairs += [(block.norm1, f"blocks.{i}.attention_norm"), (block.norm2, f"blocks.{i}.feed_forward_norm")]
            linear = {block.attention.out: "attention.out_proj", block.feed_forward[0]: "feed_forward.up_proj"}
            for layer, name in (linear | {block.feed_forward[2]: "feed_forward.down_proj"}).items():
                layer.weight.copy_(state[f"blocks.{i}.{name}.weight"])
                layer.bias.copy_(state[f"blocks.{i}.{name}.bias"])
            parts = (block.attention.query, block.attention.key, block.attention.value)
            for layer, weight, bias in zip(
                parts,
                state[f"blocks.{i}.attention.qkv.weight"].chunk(3),
                state[f"blocks.{i}.attention.qkv.bias"].chunk(3),
                strict=True,
            ):
                layer.weight.copy_(weight)
                layer.bias.copy_(bias)
        for norm, name in pairs:
            norm.scale.copy_(state[f"{name}.weight"])
            norm.shift.copy_(state[f"{name}.bias"])
    tokens = torch.randint(40, (2, 9), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(theirs(tokens), ours(tokens), rtol=1e-4, atol=1e-4)


def test_operations_are_counted_product_by_product():
    from torch.utils.flop_counter import FlopCounterMode

    sizes = work.MINIATURE | {"n_layers": 3}
    model = textbook.Model(**sizes)
    tokens = torch.randint(100, (2, 32))
    with FlopCounterMode(display=False) as counter:
        model(tokens).sum().backward()
    assert counter.get_total_flops() == pytest.approx(64 * table.flops_per_token(sizes, 32), rel=1e-3)


def test_a_peer_is_measured_without_gptmills_settings():
    assert "GOMP_SPINCOUNT" in run._environment("ours")
    assert "GOMP_SPINCOUNT" not in run._environment("transformers")
    text = (ROOT / "benchmarks" / "textbook.py").read_text(encoding="utf-8")
    assert "import gptmill" not in text and "from gptmill" not in text


def test_the_two_ways_share_no_cache_and_no_run(monkeypatch, tmp_path):
    monkeypatch.setenv("GPTMILL_RUN", "somebody's")
    one, other = (orchestration._environment(tmp_path / way, tmp_path, {}) for way in ("flow", "repro"))
    assert "GPTMILL_RUN" not in one and one["DVC_GLOBAL_CONFIG_DIR"] != other["DVC_GLOBAL_CONFIG_DIR"]
