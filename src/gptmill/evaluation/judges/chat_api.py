"""The chat completions protocol of OpenAI-compatible servers: request body, reply, error message. No network here."""

import json
from typing import Any

from gptmill.evaluation.judges import server_hints
from gptmill.evaluation.judges.response_cache import Reply
from gptmill.evaluation.judges.rubrics import Messages

SEED = 0
LONGEST_ERROR = 200  # characters of a server's error message

Schema = dict[str, Any]


class InvalidReply(Exception):
    """The server's reply is not a chat completion."""


class HtmlReply(InvalidReply):
    """The server's reply is HTML: of a user interface, a proxy or a login."""


def request_body(model: str, messages: Messages, max_tokens: int, schema: Schema | None = None) -> dict[str, Any]:
    """`max_tokens` 0: the server's limit. `schema`: structured output, where the server supports it."""
    body = {"model": model, "messages": messages, "temperature": 0, "seed": SEED}
    if max_tokens:
        body["max_tokens"] = max_tokens
    if schema:
        named = {"name": "judgement", "strict": True, "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    return body


def parse_completion(data: bytes, seconds: float) -> Reply:
    """Raises `InvalidReply` for all but a chat completion. One without text (a refusal) is valid: it was paid for."""
    if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        raise HtmlReply(f"the server's reply is a web page, not JSON: {server_hints.BASE_URL}")
    try:
        body = json.loads(data)
        choice = body["choices"][0]
        content = choice["message"]["content"]
        if isinstance(content, list):  # parts; thoughts may be among them
            content = "".join(part["text"] for part in content if part["type"] == "text")
    except (ValueError, RecursionError):
        raise InvalidReply("the server's reply is not JSON") from None
    except (KeyError, IndexError, TypeError):
        raise InvalidReply("the server's reply is not a chat completion") from None
    if not isinstance(content, str | None):
        raise InvalidReply("the server's reply is not a chat completion")
    usage, finish = body.get("usage"), choice.get("finish_reason")
    tokens = [_count(usage, name) for name in ("prompt_tokens", "completion_tokens")]
    return Reply(content or "", finish if isinstance(finish, str) else "", *tokens, round(seconds, 3))


def _count(usage: object, name: str) -> int:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count > 0 else 0


def error_message(data: bytes) -> str:
    """A server's error message on one short line: OpenAI's shape, or plain text; "" for HTML."""
    text = data.decode(errors="replace")
    try:
        body = json.loads(text)
        error = body.get("error", body)
        text = error.get("message", "") if isinstance(error, dict) else error
    except (ValueError, AttributeError, RecursionError):
        text = "" if text.lstrip().startswith("<") else text
    return " ".join(str(text).split())[:LONGEST_ERROR]
