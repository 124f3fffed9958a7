"""Rubrics: what a judge is asked, as files under `prompts/`, versioned with the code and named by `judge.rubric`.

A rubric is a YAML head and two Jinja templates, the messages that are sent:

    ---
    reply: score            # a number on `scale`; or winner: first, second or tie, of `response` and `base_response`
    scale: [1, 5]           # worst and best, whole numbers; only with score
    reason: true            # the judge gives a reason before its score; only with score, a winner always has one
    ---
    # system                (may be left out: some models know no such message)
    …
    # user
    {{ instruction }} {{ input }} {{ reference }} {{ answer }}, or {{ first }} {{ second }} in place of the answer; {{ mark }}

The templates get texts that are delimited and escaped already: see `material`. `input` is "" when the task has none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from gptmill.config import safe_yaml
from gptmill.config.section import Section
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.evaluation.judges import parsing, sanitize

if TYPE_CHECKING:
    from jinja2 import Template

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
    system: "Template | None"
    user: "Template"

    @property
    def compares(self) -> bool:
        """Whether it is about two answers, `response` and `base_response`."""
        return self.head.reply == "winner"

    def messages(self, record: Mapping[str, Any], limit: int, **answers: str) -> Messages:
        """What is sent about a record. `answers` are `answer`, or `first` and `second`; `limit` as in `material.blocks`."""
        texts = {
            "instruction": record["instruction"],
            "input": record["input"],
            "reference": record["output"],
        } | answers
        shown = sanitize.blocks({name: str(text) for name, text in texts.items()}, limit)
        if not record["input"]:
            shown["input"] = ""
        roles = [("system", self.system), ("user", self.user)]
        return [{"role": role, "content": template.render(shown).strip()} for role, template in roles if template]

    def read(self, text: str) -> parsing.Verdict:
        """A judge's reply. A score is on the rubric's scale."""
        return parsing.read_winner(text) if self.compares else parsing.read_score(text, *self.head.scale)

    def of_100(self, score: int) -> float:
        """A score of the scale as one from 0 to 100: its worst is 0, its best 100, and what lies between is even (1 to 5: 25 a step)."""
        worst, best = self.head.scale
        scaled = round(100 * (score - worst) / (best - worst), 2)
        return int(scaled) if scaled == int(scaled) else scaled

    def schema(self) -> dict[str, Any]:
        """The reply as a JSON schema, for servers that keep to one. The reason comes first: what is written before it weighs the answer."""
        worst, best = self.head.scale
        verdict = {
            "score": {"score": {"type": "integer", "minimum": worst, "maximum": best}},
            "winner": {"winner": {"type": "string", "enum": list(parsing.WINNERS)}},
        }[self.head.reply]
        properties = ({"reason": {"type": "string"}} if self.head.reason else {}) | verdict
        return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}

    def reminder(self) -> str:
        """What is added when a reply could not be read."""
        worst, best = self.head.scale
        wanted = {"score": f"a whole number from {worst} to {best}", "winner": 'one of "first", "second", "tie"'}[
            self.head.reply
        ]
        shape = (
            f'JSON: {{"reason": "…", "{self.head.reply}": …}}, {self.head.reply} being {wanted}'
            if self.head.reason
            else wanted
        )
        return f"Your last reply could not be read. Reply with nothing but {shape}."


def load(name: str, folder: Path = paths.RUBRICS) -> Rubric:
    """The rubric of that name. Raises `GptmillError` when there is none, or when its file is not in order."""
    from jinja2 import Environment, StrictUndefined, TemplateError, UndefinedError

    known = {path.stem: path for path in sorted(folder.glob("*.md"))}
    if name not in known:
        raise GptmillError(f"judge.rubric: there is no rubric {name!r}; {folder}/ has {', '.join(known) or 'nothing'}")
    path = known[name]
    found = _FILE.fullmatch(files.read_text(path))
    if not found:
        raise GptmillError(
            f"{path} is no rubric: it must be a head between two lines ---, then `# system` (or not), then `# user`"
        )
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    try:
        head = Head.model_validate(safe_yaml.parse(found["head"], f"{path}: its head"))
        templates = [environment.from_string(found[role]) if found[role] else None for role in ("system", "user")]
        rubric = Rubric(name, head, *templates)
        answers = ("first", "second") if rubric.compares else ("answer",)
        probe = {"instruction": "?", "input": "?", "output": "?"}
        sent = "".join(message["content"] for message in rubric.messages(probe, 1, **dict.fromkeys(answers, "?")))
    except ValidationError as error:
        [first, *_] = error.errors()
        where = ".".join(map(str, first["loc"])) or "its head"
        raise GptmillError(f"{path}: {where}: {first['msg']}") from None
    except UndefinedError as error:
        raise GptmillError(
            f"{path}: {error}; it may use instruction, input, reference, mark, {', '.join(answers)}"
        ) from None
    except TemplateError as error:
        raise GptmillError(f"{path} is no Jinja template: {error}") from None
    if missing := [part for part in answers if f"<{part}-" not in sent]:
        raise GptmillError(f"{path} does not show the judge {{{{ {missing[0]} }}}}")
    return rubric
