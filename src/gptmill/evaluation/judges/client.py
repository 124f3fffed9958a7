"""A language model behind an OpenAI-compatible `/chat/completions`: Ollama, vLLM, llama.cpp, OpenAI, and whatever else speaks it.

A request that fails in a way that may pass is made again; a reply that came is kept at once, and never asked for again.
"""

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

from gptmill.config.judge import JudgeModelParams, JudgeParams
from gptmill.core.errors import GptmillError
from gptmill.evaluation.judges import hints
from gptmill.evaluation.judges.limits import AdaptiveConcurrency, Closed, RateLimiter
from gptmill.evaluation.judges.parsing import Verdict
from gptmill.evaluation.judges.response_cache import Reply, ResponseCache
from gptmill.evaluation.judges.rubrics import Messages

if TYPE_CHECKING:
    import httpx

SEED = 0
LONGEST_WAIT = 10.0  # seconds between two attempts, unless the server asks for more
LARGEST_REPLY = 4 << 20  # bytes
MOST_SAID = 200  # characters of a server's error message

Schema = dict[str, Any]


class NoReply(Exception):
    """The server gave no reply; the text says why."""


class BrokenReply(Exception):
    """The server answered with something that is no chat completion."""


class Page(BrokenReply):
    """It is HTML: that of a user interface, a proxy or a login."""


@dataclass
class Usage:
    """What judging took. What comes from the cache takes nothing."""

    requests: int = 0  # made, the failed ones included
    cached: int = 0  # replies that were on disk
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0  # of a clock on the wall, however many requests ran side by side
    cost: float = 0.0  # in the prices' currency

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def metrics(self) -> dict[str, float]:
        """For MLflow: no tracked output may hold times."""
        return {f"judge_{name}": value for name, value in asdict(self).items()}

    def __str__(self) -> str:
        tokens = f"{self.input_tokens:,} tokens sent, {self.output_tokens:,} received"
        cost = f", cost {self.cost:.4f}" if self.cost else ""
        requests = f"{self.requests} request{'s' * (self.requests != 1)}"
        return f"{requests}, {self.cached} replies known already, {tokens}, {self.seconds:.1f} s{cost}"


class ChatModel:
    """One judge's model. Its methods may be called from several threads, between `__enter__` and `__exit__`."""

    def __init__(self, model: JudgeModelParams, params: JudgeParams) -> None:
        self.name, self.usage = model.model, Usage()
        self.model, self.params = model, params
        self.replies, self.rate_limiter = ResponseCache(), RateLimiter(params.requests_per_minute)
        self.concurrency = AdaptiveConcurrency(params.concurrency, params.timeout_seconds)
        self._structured: bool | None = None  # whether the server keeps to a schema; None: not known yet
        self._finding_out, self._counting, self._hinting = threading.Lock(), threading.Lock(), threading.Lock()
        self._replied, self._no_more = (
            False,
            False,
        )  # whether a reply has ever come; whether nothing is to be tried again
        self._gone = ""  # why the server is asked nothing more
        self._hint: str | None = None  # of a refusal; None: not looked for yet

    def __enter__(self) -> Self:
        import httpx

        base = self.model.base_url.rstrip("/") + "/"
        limits = httpx.Limits(max_connections=self.params.concurrency)
        try:
            self._client = httpx.Client(base_url=base, timeout=self.params.timeout_seconds, limits=limits)
        except (httpx.InvalidURL, ValueError, ImportError) as error:  # of a proxy too, which the environment names
            raise GptmillError(
                f"judge {self.name}: base_url, or a proxy in the environment, is no address to use ({error})"
            ) from None
        self._no_more, self._gone, self._hint = False, "", None
        self.concurrency.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def give_up(self) -> None:
        """Requests that are under way may end, and are not made again; those that wait for their turn are not made."""
        self._no_more = True
        self.concurrency.close()

    def ask(self, messages: Messages, schema: Schema, read: Callable[[str], Verdict], reminder: str) -> Verdict:
        """What the model says, as `read` reads it. What can't be read is asked once more, with the reminder."""
        try:
            verdict = self._read(messages, schema, read)
            if verdict.value is None:
                *before, last = messages
                verdict = self._read([*before, last | {"content": f"{last['content']}\n\n{reminder}"}], schema, read)
        except NoReply as error:
            return Verdict(None, failure=str(error))
        return verdict

    def _read(self, messages: Messages, schema: Schema, read: Callable[[str], Verdict]) -> Verdict:
        reply = self.reply(messages, schema)
        verdict = read(reply.text)
        if reply.finish == "length" and (
            verdict.value is None or reply.text.rstrip()[-1:].isdigit()
        ):  # 8 may have become 85
            return Verdict(
                None, reply.text, "the reply was cut at its longest length before its end: raise judge.max_reply_tokens"
            )
        return verdict

    def reply(self, messages: Messages, schema: Schema) -> Reply:
        """The reply to the messages, from the cache or from the server. Raises `NoReply` when there is none after all attempts."""
        question = {"base_url": self.model.base_url, "schema": schema, **self._body(messages, None)}
        reply, known = self.replies.get(question, lambda: self._ask(messages, schema))
        if known:
            self._count(Usage(cached=1))
        return reply

    def _ask(self, messages: Messages, schema: Schema) -> Reply:
        import httpx

        from gptmill.net import retry

        alone = False

        def attempt() -> Reply:
            nonlocal alone
            try:
                return self._send(messages, schema, alone)
            except httpx.TimeoutException:
                alone = True  # perhaps it waited for others
                self.concurrency.back_off(1)
                raise
            except httpx.HTTPStatusError as error:
                if error.response.status_code in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
                    self.concurrency.back_off(self.concurrency.limit // 2)
                raise

        again = retry.retrying(
            self.params.attempts, LONGEST_WAIT, stop=lambda: self._no_more, also_retry=(BrokenReply,)
        )
        try:
            return again(attempt)
        except httpx.HTTPError as error:
            said = str(error) if isinstance(error, httpx.HTTPStatusError) else ""
            failure = "; ".join(
                filter(None, (": ".join(filter(None, (retry.reason(error), said))), self._hint_of(error)))
            )
            may_be_gone = isinstance(error, httpx.ConnectError | httpx.TimeoutException)
        except BrokenReply as error:
            failure, may_be_gone = str(error), isinstance(error, Page)
        except Closed:
            failure, may_be_gone = "the judging has ended before its turn", False
        # Where nothing has ever come, the others needn't find that out as slowly.
        if may_be_gone and not self._replied:
            self._gone = self._gone or failure
        raise NoReply(failure)

    def _send(self, messages: Messages, schema: Schema, alone: bool) -> Reply:
        """One request; while it is not known whether the server takes a schema, perhaps two, one after the other."""
        if self._structured is None:
            with self._finding_out:
                if self._structured is None:
                    return self._find_out(messages, schema, alone)
        return self._post(messages, schema if self._structured else None, alone)

    def _find_out(self, messages: Messages, schema: Schema, alone: bool) -> Reply:
        import httpx

        try:
            reply = self._post(messages, schema, alone)
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY):
                raise
            reply = self._post(messages, None, alone)  # raises as well when it was not the schema that the server minds
            self._structured = False
        else:
            self._structured = True
        return reply

    def _body(self, messages: Messages, schema: Schema | None) -> dict[str, Any]:
        body = {"model": self.model.model, "messages": messages, "temperature": 0, "seed": SEED}
        if self.params.max_reply_tokens:
            body["max_tokens"] = self.params.max_reply_tokens
        if schema:
            named = {"name": "judgement", "strict": True, "schema": schema}
            body["response_format"] = {"type": "json_schema", "json_schema": named}
        return body

    def _post(self, messages: Messages, schema: Schema | None, alone: bool) -> Reply:
        import httpx

        key = self._key()
        in_flight, latency = self.concurrency.acquire(alone), None
        try:
            if self._gone:
                raise NoReply(self._gone)
            self.rate_limiter.wait()
            self._count(Usage(requests=1))
            began = time.monotonic()
            response, data = self._fetch("POST", "chat/completions", key, self._body(messages, schema))
            seconds = time.monotonic() - began
            if not response.is_success:
                raise httpx.HTTPStatusError(self._why(response, data, key), request=response.request, response=response)
            reply = _parse(data, seconds)
            latency = reply.seconds
        finally:
            self.concurrency.release(in_flight, latency, alone)
        self._replied = True
        self._count(Usage(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens, cost=self._cost(reply)))
        return reply

    def _fetch(
        self, method: str, address: str, key: str, body: dict[str, Any] | None = None
    ) -> tuple["httpx.Response", bytes]:
        """The server's answer, whatever its status, within the time and the size that an answer may have."""
        import httpx

        began = time.monotonic()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with self._client.stream(method, address, json=body, headers=headers) as response:
            data = bytearray()
            for chunk in response.iter_bytes():
                data += chunk
                # httpx' time-out is for each piece; a server that sends one now and then is no better than a silent one.
                if time.monotonic() - began > self.params.timeout_seconds:
                    raise httpx.ReadTimeout("too slow")
                if len(data) > LARGEST_REPLY:
                    raise BrokenReply("the server's reply is far too long")
        return response, bytes(data)

    def _cost(self, reply: Reply) -> float:
        return (reply.input_tokens * self.model.input_price + reply.output_tokens * self.model.output_price) / 1e6

    def _count(self, more: Usage) -> None:
        with self._counting:
            self.usage = self.usage + more

    def _key(self) -> str:
        """The key, from the environment at the last moment: what is all in the cache needs none. It is in no message."""
        variable = self.model.api_key_env
        if not variable:
            return ""
        key = os.environ.get(variable, "").strip()
        if not key:
            raise GptmillError(
                f"judge {self.name} needs its key in the environment variable {variable}, which is not set: export it, "
                'or set api_key_env to "" where the server needs none'
            )
        if not (key.isascii() and key.isprintable()):
            raise GptmillError(f"the environment variable {variable} holds characters that no key has")
        return key

    def _why(self, response: "httpx.Response", data: bytes, key: str) -> str:
        """What is known of a refusal. Failures are tracked, and what a busy or failing server says is another text each time."""
        import httpx

        variable = self.model.api_key_env
        match response.status_code:
            case httpx.codes.UNAUTHORIZED | httpx.codes.FORBIDDEN:
                return (
                    f"it does not take the key in {variable}"
                    if variable
                    else "it wants a key: name its environment variable in api_key_env"
                )
            case (
                httpx.codes.BAD_REQUEST
                | httpx.codes.NOT_FOUND
                | httpx.codes.METHOD_NOT_ALLOWED
                | httpx.codes.UNPROCESSABLE_ENTITY
            ):
                said = _error_message(data)
                return said.replace(key, "…") if key else said
            case _:
                return ""

    def _hint_of(self, error: "httpx.HTTPError") -> str:
        """What the failure may come from. The server is asked for its models once, whatever the number of refusals."""
        import httpx

        if hint := hints.of_error(error, self.model.base_url):
            return hint
        if not isinstance(error, httpx.HTTPStatusError) or error.response.status_code not in hints.REFUSALS:
            return ""

        def get(address: str) -> bytes | None:
            try:
                response, data = self._fetch("GET", address, self._key())
            except (httpx.HTTPError, httpx.InvalidURL, BrokenReply):
                return None
            return data if response.is_success else None

        with self._hinting:
            if self._hint is None:
                self._hint = hints.of_refusal(self.model.base_url, self.model.model, get, error.response.status_code)
            return self._hint


def _parse(data: bytes, seconds: float) -> Reply:
    """A chat completion. Raises `BrokenReply` when it is none. One without a text (a refusal) is a reply all the same: it was paid for."""
    if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        raise Page(f"the server's reply is a web page, no JSON: {hints.WANTED}")
    try:
        body = json.loads(data)
        choice = body["choices"][0]
        content = choice["message"]["content"]
        if isinstance(content, list):  # in parts, of which thoughts may be some
            content = "".join(part["text"] for part in content if part["type"] == "text")
    except (ValueError, RecursionError):
        raise BrokenReply("the server's reply is no JSON") from None
    except (KeyError, IndexError, TypeError):
        raise BrokenReply("the server's reply is no chat completion") from None
    if not isinstance(content, str | None):
        raise BrokenReply("the server's reply is no chat completion")
    usage, finish = body.get("usage"), choice.get("finish_reason")
    tokens = [_count_in(usage, name) for name in ("prompt_tokens", "completion_tokens")]
    return Reply(content or "", finish if isinstance(finish, str) else "", *tokens, round(seconds, 3))


def _count_in(usage: object, name: str) -> int:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count > 0 else 0


def _error_message(data: bytes) -> str:
    """What a server says of an error, on one short line: OpenAI's shape, or plain text. A page says nothing."""
    text = data.decode(errors="replace")
    try:
        body = json.loads(text)
        error = body.get("error", body)
        text = error.get("message", "") if isinstance(error, dict) else error
    except (ValueError, AttributeError, RecursionError):
        text = "" if text.lstrip().startswith("<") else text
    return " ".join(str(text).split())[:MOST_SAID]
