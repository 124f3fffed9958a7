"""What the tests of the LLM judges share: their settings, and chat completions as servers send them."""

import hashlib
import json

from gptmill.config.judge import JudgeParams

RECORD = {"instruction": "Name the cat.", "input": "A cat called Tom", "output": "Tom", "response": "It is Tom."}
HERE = "http://127.0.0.1:1/v1"


def settings(*urls: str, model: dict | None = None, **changes: object) -> JudgeParams:
    """`settings(url)`: one judge there; with several addresses judge-0, judge-1, …"""
    names = [f"judge-{i}" for i in range(len(urls))] if len(urls) > 1 else ["llama3"]
    base = {"api_key_env": "", "input_price": 0.0, "output_price": 0.0} | (model or {})
    models = [
        {"model": name, "base_url": f"{url}/v1"} | base
        for name, url in zip(names, urls or ["http://127.0.0.1:1"], strict=True)
    ]
    defaults = {
        "backend": "openai",
        "rubric": "score-0-100",
        "models": models,
        "max_characters": 2000,
        "max_reply_tokens": 64,
    }
    defaults |= {"attempts": 3, "timeout_seconds": 5.0, "concurrency": 2, "requests_per_minute": 0}
    return JudgeParams.model_validate(defaults | changes)


def reply(content: object, finish: str = "stop", **more: object) -> tuple[int, dict, bytes]:
    """A chat completion; `usage` and what else there is in `more`."""
    body = {"choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": finish}], **more}
    return 200, {"Content-Type": "application/json"}, json.dumps(body).encode()


def asked(request: object) -> str:
    """The last message of a request."""
    return json.loads(request.body)["messages"][-1]["content"]


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
