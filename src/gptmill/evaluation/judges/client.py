"""HTTP client of a judge's model behind an OpenAI-compatible `/chat/completions` (Ollama, vLLM, llama.cpp, OpenAI).

Transient errors are retried; every reply is cached as soon as it comes, and never requested again.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import httpx

from gptmill.config.judge import JudgeModelParams, JudgeParams
from gptmill.core.errors import GptmillError
from gptmill.evaluation.judges import chat_api, server_hints
from gptmill.evaluation.judges.chat_api import HtmlReply, InvalidReply, Schema
from gptmill.evaluation.judges.parsing import Verdict
from gptmill.evaluation.judges.rate_limiter import AdaptiveConcurrency, Closed, RateLimiter
from gptmill.evaluation.judges.response_cache import Reply, ResponseCache
from gptmill.evaluation.judges.rubrics import Messages
from gptmill.net import retry

LONGEST_WAIT = 10.0  # seconds between two attempts, unless the server asks for more
LARGEST_REPLY = 4 << 20  # bytes


class NoReply(Exception):
    """No reply after all attempts; the text says why."""


@dataclass
class Usage:
    """What judging took. Cached replies take nothing."""

    requests: int = 0  # failed ones included
    cached: int = 0  # replies from the cache
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0  # wall clock
    cost: float = 0.0  # in the prices' currency

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def metrics(self) -> dict[str, float]:
        """For MLflow: tracked outputs hold no times."""
        return {f"judge_{name}": value for name, value in asdict(self).items()}

    def __str__(self) -> str:
        tokens = f"{self.input_tokens:,} tokens sent, {self.output_tokens:,} received"
        cost = f", cost {self.cost:.4f}" if self.cost else ""
        requests = f"{self.requests} request{'s' * (self.requests != 1)}"
        return f"{requests}, {self.cached} replies from the cache, {tokens}, {self.seconds:.1f} s{cost}"


class ChatModel:
    """One judge's model. Thread-safe between `__enter__` and `__exit__`."""

    def __init__(self, model: JudgeModelParams, params: JudgeParams) -> None:
        self.name, self.usage = model.model, Usage()
        self.model, self.params = model, params
        self.cache, self.rate_limiter = ResponseCache(), RateLimiter(params.requests_per_minute)
        self.concurrency = AdaptiveConcurrency(params.concurrency, params.timeout_seconds)
        self._takes_schema: bool | None = None  # None: not known yet
        self._schema_lock, self._usage_lock, self._hint_lock = threading.Lock(), threading.Lock(), threading.Lock()
        self._replied = self._cancelled = False  # whether any reply has come; whether retries have ended
        self._unreachable = ""  # why no request is made any more
        self._hint: str | None = None  # about a refusal; None: not looked for yet

    def __enter__(self) -> Self:
        base = self.model.base_url.rstrip("/") + "/"
        limits = httpx.Limits(max_connections=self.params.concurrency)
        try:
            self._client = httpx.Client(base_url=base, timeout=self.params.timeout_seconds, limits=limits)
        except (httpx.InvalidURL, ValueError, ImportError) as error:  # of a proxy in the environment too
            raise GptmillError(
                f"judge {self.name}: base_url, or a proxy in the environment, is not a valid address ({error})"
            ) from None
        self._cancelled, self._unreachable, self._hint = False, "", None
        self.concurrency.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def cancel(self) -> None:
        """Requests in flight may end, without a retry; waiting ones are not made."""
        self._cancelled = True
        self.concurrency.close()

    def ask(self, messages: Messages, schema: Schema, parse: Callable[[str], Verdict], reminder: str) -> Verdict:
        """The parsed reply. One that can't be parsed is requested once more, with the reminder."""
        try:
            verdict = self._ask_once(messages, schema, parse)
            if verdict.value is not None:
                return verdict
            *before, last = messages
            return self._ask_once([*before, last | {"content": f"{last['content']}\n\n{reminder}"}], schema, parse)
        except NoReply as error:
            return Verdict(None, failure=str(error))

    def _ask_once(self, messages: Messages, schema: Schema, parse: Callable[[str], Verdict]) -> Verdict:
        reply = self.reply(messages, schema)
        verdict = parse(reply.text)
        # A reply that ends with a digit may be an 8 of 85.
        if reply.finish == "length" and (verdict.value is None or reply.text.rstrip()[-1:].isdigit()):
            failure = "the reply was cut at its longest length before its end: raise judge.max_reply_tokens"
            return Verdict(None, reply.text, failure)
        return verdict

    def reply(self, messages: Messages, schema: Schema) -> Reply:
        """From the cache, or from the server. Raises `NoReply` after the last attempt."""
        question = {"base_url": self.model.base_url, "schema": schema, **self._body(messages)}
        reply, cached = self.cache.get(question, lambda: self._with_retries(messages, schema))
        if cached:
            self._count(Usage(cached=1))
        return reply

    def _with_retries(self, messages: Messages, schema: Schema) -> Reply:
        alone = False

        def attempt() -> Reply:
            nonlocal alone
            try:
                return self._send(messages, schema, alone)
            except httpx.TimeoutException:
                alone = True  # other requests may have delayed it
                self.concurrency.back_off(1)
                raise
            except httpx.HTTPStatusError as error:
                if error.response.status_code in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
                    self.concurrency.back_off(self.concurrency.limit // 2)
                raise

        attempts, stop = self.params.attempts, lambda: self._cancelled
        try:
            return retry.retrying(attempts, LONGEST_WAIT, stop=stop, also_retry=(InvalidReply,))(attempt)
        except httpx.HTTPError as error:
            message = str(error) if isinstance(error, httpx.HTTPStatusError) else ""
            reason = ": ".join(filter(None, (retry.reason(error), message)))
            failure = "; ".join(filter(None, (reason, self._hint_of(error))))
            unreachable = isinstance(error, httpx.ConnectError | httpx.TimeoutException)
        except InvalidReply as error:
            failure, unreachable = str(error), isinstance(error, HtmlReply)
        except Closed:
            failure, unreachable = "the judging has ended before its turn", False
        # A server that has never replied is not retried for each answer.
        if unreachable and not self._replied:
            self._unreachable = self._unreachable or failure
        raise NoReply(failure)

    def _send(self, messages: Messages, schema: Schema, alone: bool) -> Reply:
        """One request; two where it is not known yet whether the server takes a schema, and it refuses it."""
        if self._takes_schema is None:
            with self._schema_lock:
                if self._takes_schema is None:
                    return self._probe_schema(messages, schema, alone)
        return self._post(messages, schema if self._takes_schema else None, alone)

    def _probe_schema(self, messages: Messages, schema: Schema, alone: bool) -> Reply:
        try:
            reply = self._post(messages, schema, alone)
        except httpx.HTTPStatusError as error:
            if error.response.status_code not in (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY):
                raise
            reply = self._post(messages, None, alone)  # raises too where the schema was not the reason
            self._takes_schema = False
        else:
            self._takes_schema = True
        return reply

    def _body(self, messages: Messages, schema: Schema | None = None) -> dict[str, Any]:
        return chat_api.request_body(self.model.model, messages, self.params.max_reply_tokens, schema)

    def _post(self, messages: Messages, schema: Schema | None, alone: bool) -> Reply:
        key = self._key()
        in_flight, latency = self.concurrency.acquire(alone), None
        try:
            if self._unreachable:
                raise NoReply(self._unreachable)
            self.rate_limiter.wait()
            self._count(Usage(requests=1))
            began = time.monotonic()
            response, data = self._fetch("POST", "chat/completions", key, self._body(messages, schema))
            seconds = time.monotonic() - began
            if not response.is_success:
                message = self._refusal(response, data, key)
                raise httpx.HTTPStatusError(message, request=response.request, response=response)
            reply = chat_api.parse_completion(data, seconds)
            latency = reply.seconds
        finally:
            self.concurrency.release(in_flight, latency, alone)
        self._replied = True
        cost = (reply.input_tokens * self.model.input_price + reply.output_tokens * self.model.output_price) / 1e6
        self._count(Usage(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens, cost=cost))
        return reply

    def _fetch(
        self, method: str, address: str, key: str, body: dict[str, Any] | None = None
    ) -> tuple[httpx.Response, bytes]:
        """The server's response of any status, bounded in time and size."""
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with self._client.stream(method, address, json=body, headers=headers) as response:
            data = bytearray()
            for chunk in response.iter_bytes():
                data += chunk
                # httpx' time-out is per chunk; a server that trickles is as bad as a silent one.
                if time.monotonic() - began > self.params.timeout_seconds:
                    raise httpx.ReadTimeout("too slow")
                if len(data) > LARGEST_REPLY:
                    raise InvalidReply("the server's reply is far too long")
        return response, bytes(data)

    def _count(self, usage: Usage) -> None:
        with self._usage_lock:
            self.usage = self.usage + usage

    def _key(self) -> str:
        """The API key, read from the environment for each request: cached replies need none. No message holds it."""
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

    def _refusal(self, response: httpx.Response, data: bytes, key: str) -> str:
        """Why a request was refused; "" of a failing server, whose text would change the tracked failures each time."""
        variable = self.model.api_key_env
        if response.status_code in (401, 403):
            missing = "it wants a key: name its environment variable in api_key_env"
            return f"it does not take the key in {variable}" if variable else missing
        if response.status_code in server_hints.REFUSALS:
            message = chat_api.error_message(data)
            return message.replace(key, "…") if key else message
        return ""

    def _hint_of(self, error: httpx.HTTPError) -> str:
        """The likely cause of a failure. The server is asked for its models once, however many requests it refuses."""
        if hint := server_hints.of_error(error, self.model.base_url):
            return hint
        if not isinstance(error, httpx.HTTPStatusError) or error.response.status_code not in server_hints.REFUSALS:
            return ""

        def get(address: str) -> bytes | None:
            try:
                response, data = self._fetch("GET", address, self._key())
            except (httpx.HTTPError, httpx.InvalidURL, InvalidReply):
                return None
            return data if response.is_success else None

        with self._hint_lock:
            if self._hint is None:
                self._hint = server_hints.of_refusal(
                    self.model.base_url, self.model.model, get, error.response.status_code
                )
            return self._hint
