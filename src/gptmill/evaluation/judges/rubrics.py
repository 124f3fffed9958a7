"""Rubrics: prompts of LLM judges, files under `prompts/`, named by `judge.rubric`.

A rubric is a YAML head and two Jinja templates, for the messages:

    ---
    reply: score            # a number on `scale`; or winner: first, second or tie
    scale: [1, 5]           # worst and best, whole numbers; only with score
    reason: true            # reason before score; only with score, a winner always has one
    ---
    # system                (optional: some models have no such message)
    …
    # user
    {{ instruction }} {{ input }} {{ reference }} {{ answer }} (or {{ first }} {{ second }}) {{ mark }}

The texts are delimited and escaped: see `sanitize`. `input` is "" where the task has none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from jinja2 import Environment, StrictUndefined, Template, TemplateError, UndefinedError
from pydantic import Field, ValidationError, model_validator

from gptmill.config import safe_yaml
from gptmill.config.section import Section
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.evaluation.judges import parsing, sanitize

Messages = list[dict[str, str]]
_FILE = re.compile(
    r"---\n(?P<head>.*?)\n---\n(?:.*?^# system\n(?P<system>.*?))?^# user\n(?P<user>.*)", re.DOTALL | re.MULTILINE
)


class Head(Section):
    reply: Literal["score", "winner"]
    scale: list[int] = Field(default=[0, 100], min_length=2, max_length=2)
    reason: bool = True

    @model_validator(mode="after")
    def _scale_goes_up(self) -> Self:
        if not 0 <= self.scale[0] < self.scale[1]:
            raise ValueError("scale must be [worst, best], worst below best and not below 0")
        return self


@dataclass(frozen=True)
class Rubric:
    name: str
    head: Head
    system: Template | None
    user: Template

    @property
    def compares(self) -> bool:
        return self.head.reply == "winner"

    def messages(self, record: Mapping[str, Any], limit: int, **answers: str) -> Messages:
        """`answers`: `answer`, or `first` and `second`. `limit`: as in `sanitize.blocks`."""
        texts = {
            "reference": record["output"],
            "instruction": record["instruction"],
            "input": record["input"],
            **answers,
        }
        shown = sanitize.blocks({name: str(text) for name, text in texts.items()}, limit)
        if not record["input"]:
            shown["input"] = ""
        roles = [("system", self.system), ("user", self.user)]
        return [{"role": role, "content": template.render(shown).strip()} for role, template in roles if template]

    def read(self, text: str) -> parsing.Verdict:
        """Parse a judge's reply. A score is on the rubric's scale."""
        return parsing.read_winner(text) if self.compares else parsing.read_score(text, *self.head.scale)

    def of_100(self, score: int) -> float:
        """A score of the scale, mapped linearly to 0 (worst) to 100 (best)."""
        worst, best = self.head.scale
        scaled = round(100 * (score - worst) / (best - worst), 2)
        return int(scaled) if scaled == int(scaled) else scaled

    def schema(self) -> dict[str, Any]:
        """JSON schema for structured output. The reason comes first, so that the score follows from it."""
        worst, best = self.head.scale
        verdict = {
            "score": {"score": {"type": "integer", "minimum": worst, "maximum": best}},
            "winner": {"winner": {"type": "string", "enum": list(parsing.WINNERS)}},
        }[self.head.reply]
        properties = ({"reason": {"type": "string"}} if self.head.reason else {}) | verdict
        return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}

    def reminder(self) -> str:
        """Appended to the last message after a reply that could not be parsed."""
        worst, best = self.head.scale
        values = {"score": f"a whole number from {worst} to {best}", "winner": 'one of "first", "second", "tie"'}
        key, shape = self.head.reply, values[self.head.reply]
        if self.head.reason:
            shape = f'JSON: {{"reason": "…", "{key}": …}}, {key} being {shape}'
        return f"Your last reply could not be read. Reply with nothing but {shape}."


def load(name: str, folder: Path = paths.RUBRICS) -> Rubric:
    """Raises `GptmillError` for an unknown rubric or an invalid file."""
    known = {path.stem: path for path in sorted(folder.glob("*.md"))}
    if name not in known:
        raise GptmillError(f"judge.rubric: there is no rubric {name!r}; {folder}/ has {', '.join(known) or 'nothing'}")
    path = known[name]
    parts = _FILE.fullmatch(files.read_text(path))
    if not parts:
        raise GptmillError(
            f"{path} is not a rubric: it must be a head between two lines ---, then `# system` (or not), then `# user`"
        )
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    try:
        head = Head.model_validate(safe_yaml.parse(parts["head"], f"{path}: its head"))
        templates = [environment.from_string(parts[role]) if parts[role] else None for role in ("system", "user")]
        rubric = Rubric(name, head, *templates)
        answers = ("first", "second") if rubric.compares else ("answer",)
        probe = {"instruction": "?", "input": "?", "output": "?"}
        sent = "".join(message["content"] for message in rubric.messages(probe, 1, **dict.fromkeys(answers, "?")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its head"
        raise GptmillError(f"{path}: {where}: {first['msg']}") from None
    except UndefinedError as error:
        raise GptmillError(
            f"{path}: {error}; it may use instruction, input, reference, mark, {', '.join(answers)}"
        ) from None
    except TemplateError as error:
        raise GptmillError(f"{path} is not a Jinja template: {error}") from None
    if missing := [part for part in answers if f"<{part}-" not in sent]:
        raise GptmillError(f"{path} does not show the judge {{{{ {missing[0]} }}}}")
    return rubric
