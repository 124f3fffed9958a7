"""The section `judge`: who gives the answers their scores, by which rubric, and how much may be asked of a server."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from gptmill.config.section import PositiveInt, Section
from gptmill.core import addresses

OLLAMA_ENDPOINTS = ("/api/chat", "/api/generate", "/api/tags")
ENDPOINTS = ("/chat/completions", "/completions", "/responses", "/models")
Price = Annotated[float, Field(ge=0)]


class JudgeModelParams(Section):
    model: Annotated[str, Field(min_length=1)] = Field(
        "llama3", description="the name under which the server knows the judge"
    )
    base_url: str = Field(
        "http://127.0.0.1:11434/v1", description="the server's address, up to /v1; Ollama: http://127.0.0.1:11434/v1"
    )
    api_key_env: str = Field("", description='environment variable that holds the key; "": the server needs none')
    input_price: Price = Field(0.0, description="of a million tokens sent, in any currency; 0: not known, or nothing")
    output_price: Price = Field(0.0, description="of a million tokens received")

    @field_validator("base_url")
    @classmethod
    def _an_address_without_a_password(cls, url: str) -> str:
        if addresses.scheme(url) not in ("http", "https") or addresses.problem(url):
            raise ValueError(f"{addresses.redact_url(url)!r} is no http or https address")
        parts = urlsplit(url)
        try:
            parts.port  # noqa: B018 - read to have it checked
        except ValueError as error:
            raise ValueError(f"{addresses.redact_url(url)} is no address: {error}") from None
        if parts.username or parts.password or parts.query:
            raise ValueError(
                f"{addresses.redact_url(url)} holds more than an address: a key belongs in the environment (api_key_env)"
            )
        path = parts.path.rstrip("/")
        if path.endswith(OLLAMA_ENDPOINTS):
            raise ValueError(
                f"{url} is Ollama's own API; judges speak its OpenAI-compatible one: {parts.scheme}://{parts.netloc}/v1"
            )
        if endpoint := next((name for name in ENDPOINTS if path.endswith(name)), None):
            raise ValueError(f"{url} names an endpoint: leave {endpoint} out, as it is added to each request")
        return url


class JudgeParams(Section):
    backend: Literal["reference", "openai"] = Field(
        "reference",
        description="reference: compares with the reference answer, no LLM; openai: the models below, on any OpenAI-compatible server",
    )
    rubric: str = Field(
        "score-0-100", description="what the models are asked: the name of a file in prompts/, without .md"
    )
    models: Annotated[list[JudgeModelParams], Field(min_length=1)] = Field(
        [JudgeModelParams()], description="the judges; with several of them an answer's score is the median of theirs"
    )
    max_characters: PositiveInt = Field(
        8000, description="of each text that a judge is shown; the rest is cut, and the judge is told so"
    )
    max_reply_tokens: Annotated[int, Field(ge=0)] = Field(
        512, description="longest reply of a judge; 0: as long as the server allows"
    )
    attempts: PositiveInt = Field(
        4, description="requests for one reply, at most, while the server is busy, failing or silent"
    )
    timeout_seconds: Annotated[float, Field(gt=0)] = Field(60.0, description="longest wait for one reply")
    concurrency: PositiveInt = Field(
        4,
        description="requests under way at once, for each judge, at most: one at first, more while the server answers as fast",
    )
    requests_per_minute: Annotated[int, Field(ge=0)] = Field(
        0, description="evenly spaced, for each judge; 0: as many as it takes"
    )

    @model_validator(mode="after")
    def _each_judge_once(self) -> Self:
        names = [judge.model for judge in self.models]
        if len(set(names)) < len(names):
            raise ValueError(f"models ({', '.join(names)}) must name each judge once")
        return self
