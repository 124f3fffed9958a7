"""Prompt templates: from an instruction to a prompt, and from a model's text to its response.

`instruct.prompt_style` names one, and so does a tuned model's folder. `alpaca` is that of Taori et al. 2023; with
`alpaca_model_header`, the book's way, the model learns to write the response's header itself. `phi3` is that of Phi-3
(Abdin et al. 2024).
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gptmill.core import files
from gptmill.core.errors import GptmillError

_TASK = "Below is an instruction that describes a task. Write a response that appropriately completes the request."


@dataclass(frozen=True)
class PromptTemplate:
    name: str
    render: Callable[[str, str], str]  # instruction and input -> the prompt without the response's header
    header: str  # of the response
    model_writes_header: bool
    section: re.Pattern[str]  # the header of any section; group `response` where it is the response's
    headers: tuple[str, ...]  # those headers as the prompt has them

    def prompt(self, instruction: str, input: str = "") -> str:
        return self.render(instruction, input) + ("" if self.model_writes_header else self.header)

    def target(self, output: str) -> str:
        """The text that the model learns to write."""
        return (self.header if self.model_writes_header else "") + output

    def with_header(self, instruction: str, input: str = "") -> str:
        """The prompt for a model that was not tuned to write the header."""
        return self.render(instruction, input) + self.header

    def parse_response(self, written: str) -> tuple[str, bool]:
        """The response in a model's text, and whether it is complete: a further section has begun.

        Headers of the response at its start are skipped, and all before the first one when the model has to write it.
        The next section ends the response; an incomplete header at the very end is cut. Other headings are text.
        """
        start = 0
        if self.model_writes_header:
            first = next((match for match in self.section.finditer(written) if match["response"]), None)
            if first is None:
                return self._trimmed(written), False
            start = first.end()
        for match in self.section.finditer(written, start):
            if not match["response"] or written[start : match.start()].strip():
                return written[start : match.start()].strip(), True
            start = match.end()
        return self._trimmed(written[start:]), False

    def _trimmed(self, text: str) -> str:
        """Without outer white space, the next section, or an incomplete header at the end."""
        if match := self.section.search(text):
            text = text[: match.start()]
        text = "\n" + text.strip()
        cut = max((n for header in self.headers for n in range(2, len(header)) if text.endswith(header[:n])), default=0)
        return text[: len(text) - cut].strip()


def _alpaca(instruction: str, input: str) -> str:
    return f"{_TASK}\n\n### Instruction:\n{instruction}" + (f"\n\n### Input:\n{input}" if input else "")


def _phi3(instruction: str, input: str) -> str:
    return f"<|user|>\n{instruction}" + (f"\n{input}" if input else "")


# With three signs a header may stand anywhere but in quotes; with more or fewer, at the start of a line.
_ALPACA_SECTION = re.compile(
    r"""(?:(?<![#`"'“‘])\#\#\# | ^[ \t]*\#{2,6}) [ \t]* (?:(?P<response>responses?)|instructions?|inputs?) [ \t]*:""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_ALPACA = (_ALPACA_SECTION, ("\n### Instruction:", "\n### Input:", "\n### Response:"))
_PHI3 = (
    re.compile(r"<\|(?:(?P<response>assistant)|user|system|end|endoftext)\|>:?"),
    ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>"),
)
TEMPLATES = {
    template.name: template
    for template in (
        PromptTemplate("alpaca", _alpaca, "\n\n### Response:\n", False, *_ALPACA),
        PromptTemplate("alpaca_model_header", _alpaca, "\n\n### Response:\n", True, *_ALPACA),
        PromptTemplate("phi3", _phi3, "\n<|assistant|>\n", False, *_PHI3),
    )
}
STYLE_FILE, CHAT_TEMPLATE = "prompt_style.json", "chat_template.jinja"  # in a tuned model's folder


def save_template(folder: Path, template: PromptTemplate) -> None:
    """Write the name for `load_template`, and a chat template of the last message for Hugging Face and vLLM."""
    files.write_json(folder / STYLE_FILE, {"prompt_style": template.name})
    before, after = (json.dumps(part) for part in template.prompt("\0").split("\0"))
    files.write_text(folder / CHAT_TEMPLATE, f"{{{{ {before} + messages[-1]['content'] + {after} }}}}")


def load_template(folder: Path) -> PromptTemplate:
    """The template that a folder's model was tuned with, by default `alpaca`. Raises `GptmillError` for others."""
    try:
        name = files.read_json(folder / STYLE_FILE)["prompt_style"]
    except FileNotFoundError:
        return TEMPLATES["alpaca"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GptmillError(
            f"{folder / STYLE_FILE} is not readable ({error}): delete it and run `dvc repro finetune_instruct`"
        ) from None
    if name not in list(TEMPLATES):  # a list: the name may be unhashable
        raise GptmillError(
            f"{folder / STYLE_FILE} names the prompt style {name!r}; there are {', '.join(TEMPLATES)}. "
            "A newer gptmill may know it"
        )
    return TEMPLATES[name]
