"""Sizes by formula, held against models that were built."""

import pytest
import torch

from gptmill.config.schema import GPT2_SIZES
from gptmill.model.gpt import GPT, GPTConfig
from gptmill.model.size import measure
from gptmill.pretrained.convert import gpt2_config

PUBLISHED = {"gpt2-124M": 124_439_808, "gpt2-355M": 354_823_168, "gpt2-774M": 774_030_080, "gpt2-1558M": 1_557_611_200}


def built(config: GPTConfig) -> int:
    with torch.device("meta"):
        return sum(weight.numel() for weight in GPT(config).parameters())


@pytest.mark.parametrize("size", GPT2_SIZES)
def test_the_formula_counts_each_gpt2(size):
    config = gpt2_config(size)
    assert measure(config).parameters == built(config) == PUBLISHED[size]
    assert measure(config).weights == 4 * PUBLISHED[size]


@pytest.mark.parametrize("tie, bias", [(True, False), (False, True), (False, False)])
def test_the_formula_counts_what_is_switched_off(tie, bias):
    config = GPTConfig(101, 32, 3, 2, 24, tie_weights=tie, qkv_bias=bias)
    assert measure(config).parameters == built(config)


def test_the_cache_is_as_large_as_said():
    from gptmill.inference.kv_cache import KVCache

    config = GPTConfig(64, 32, 3, 4, 24)
    assert 10 * measure(config).cache_per_token == sum(
        part.nbytes for part in KVCache.allocate(config, 1, 10, torch.zeros(1))
    )
