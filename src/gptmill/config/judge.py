"""The section `judge`: who scores the answers, by which rubric, and the limits of requests to a server."""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from gptmill.config.section import PositiveInt, Section
from gptmill.core import addresses

OLLAMA_ENDPOINTS = ("/api/chat", "/api/generate", "/api/tags")
ENDPOINTS = ("/chat/completions", "/completions", "/responses", "/models")
Price = Annotated[float, Field(ge=0)]


class JudgeModelParams(Section):
    model: Annotated[str, Field(min_length=1)] = Field("llama3", description="the model's name on the server")
    base_url: str = Field("http://127.0.0.1:11434/v1", description="the server's URL up to /v1; this one is Ollama's")
    api_key_env: str = Field("", description='environment variable with the API key; "": none needed')
    input_price: Price = Field(0.0, description="per million input tokens, in any currency; 0: unknown or free")
    output_price: Price = Field(0.0, description="per million output tokens")

    @field_validator("base_url")
    @classmethod
    def _an_address_without_a_password(cls, url: str) -> str:
        if addresses.scheme(url) not in ("http", "https") or addresses.problem(url):
            raise ValueError(f"{addresses.redact_url(url)!r} is not an http or https address")
        parts = urlsplit(url)
        try:
            parts.port  # noqa: B018 - read to have it checked
        except ValueError as error:
            raise ValueError(f"{addresses.redact_url(url)} is not a valid address: {error}") from None
        if parts.username or parts.password or parts.query:
            raise ValueError(
                f"{addresses.redact_url(url)} is more than an address: a key belongs in the environment (api_key_env)"
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
        "reference", description="reference: comparison with the reference answer; openai: the LLMs below"
    )
    rubric: str = Field("score-0-100", description="the judges' prompt: a file of prompts/, without .md")
    models: Annotated[list[JudgeModelParams], Field(min_length=1)] = Field(
        [JudgeModelParams()], description="judges on OpenAI-compatible servers; the score is their median"
    )
    max_characters: PositiveInt = Field(8000, description="of each text in a prompt; truncation is marked")
    max_reply_tokens: Annotated[int, Field(ge=0)] = Field(
        512, description="of a reply; 0: as many as the server allows"
    )
    attempts: PositiveInt = Field(4, description="of a request, including retries when the server is busy or fails")
    timeout_seconds: Annotated[float, Field(gt=0)] = Field(60.0, description="of a request")
    concurrency: PositiveInt = Field(4, description="maximum parallel requests per judge; adapts to the server's speed")
    requests_per_minute: Annotated[int, Field(ge=0)] = Field(0, description="rate limit per judge; 0: none")

    @model_validator(mode="after")
    def _each_judge_once(self) -> Self:
        names = [judge.model for judge in self.models]
        if len(set(names)) < len(names):
            raise ValueError(f"models ({', '.join(names)}) must name each judge once")
        return self
