"""The prompt that an instruction becomes, and the answer in what a model wrote to it: one style for tuning, answering and serving.

`instruct.prompt_style` names it, and the tuned model's folder says it. `alpaca` is that of Taori et al. 2023. With `alpaca_model_header`,
the book's way, the prompt ends before the header of the answer, which the model learns to write itself. `phi3` is that of Phi-3 (Abdin et
al. 2024).
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
    asks: Callable[[str, str], str]  # instruction and input -> the prompt without the header of the answer
    header: str
    writes_header: bool  # whether the model does
    mark: re.Pattern[str]  # what begins a section; group `answer` when that is an answer
    tags: tuple[str, ...]  # those marks as the prompt has them

    def prompt(self, instruction: str, input: str = "") -> str:
        """What the model is given."""
        return self.asks(instruction, input) + ("" if self.writes_header else self.header)

    def target(self, output: str) -> str:
        """What the model learns to write."""
        return (self.header if self.writes_header else "") + output

    def full(self, instruction: str, input: str = "") -> str:
        """Everything up to where the answer begins, for a model that never learnt to write a header."""
        return self.asks(instruction, input) + self.header

    def read(self, written: str) -> tuple[str, bool]:
        """The answer in what a model wrote, and whether that is over: a further section has begun, so nothing more can come.

        Headers of the answer at its start are skipped, and so is what stands before the first one when the model has to write it; the next
        section ends the answer, and half a header at the very end is left out. Only the prompt's own sections count: other headings are
        text.
        """
        start = 0
        if self.writes_header:
            first = next((mark for mark in self.mark.finditer(written) if mark["answer"]), None)
            if first is None:
                return self._trimmed(written), False
            start = first.end()
        for mark in self.mark.finditer(written, start):
            if not mark["answer"] or written[start : mark.start()].strip():
                return written[start : mark.start()].strip(), True
            start = mark.end()
        return self._trimmed(written[start:]), False

    def _trimmed(self, text: str) -> str:
        """Without white space, and without the next section where the text breaks off before its header is whole."""
        if whole := self.mark.search(text):
            text = text[: whole.start()]
        text = "\n" + text.strip()
        half = max((n for tag in self.tags for n in range(2, len(tag)) if text.endswith(tag[:n])), default=0)
        return text[: len(text) - half].strip()


def _alpaca(instruction: str, input: str) -> str:
    parts = [_TASK, f"### Instruction:\n{instruction}"]
    if input:
        parts.append(f"### Input:\n{input}")
    return "\n\n".join(parts)


def _phi3(instruction: str, input: str) -> str:
    return f"<|user|>\n{instruction}" + (f"\n{input}" if input else "")


# With three signs a header may stand anywhere but in quotes; with more or fewer, at the start of a line.
_ALPACA_MARK = re.compile(
    r"""(?:(?<![#`"'“‘])\#\#\# | ^[ \t]*\#{2,6}) [ \t]* (?:(?P<answer>responses?)|instructions?|inputs?) [ \t]*:""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_ALPACA = (_ALPACA_MARK, ("\n### Instruction:", "\n### Input:", "\n### Response:"))
_PHI3 = (
    re.compile(r"<\|(?:(?P<answer>assistant)|user|system|end|endoftext)\|>:?"),
    ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>"),
)
STYLES = {
    style.name: style
    for style in (
        PromptTemplate("alpaca", _alpaca, "\n\n### Response:\n", False, *_ALPACA),
        PromptTemplate("alpaca_model_header", _alpaca, "\n\n### Response:\n", True, *_ALPACA),
        PromptTemplate("phi3", _phi3, "\n<|assistant|>\n", False, *_PHI3),
    )
}
FILE, TEMPLATE = "prompt_style.json", "chat_template.jinja"  # in a tuned model's folder


def write_style(folder: Path, style: PromptTemplate) -> None:
    """Say a model's style: for `style_of`, and as the template of a chat's last message that Hugging Face's tools and vLLM read."""
    files.write_json(folder / FILE, {"prompt_style": style.name})
    before, after = (json.dumps(part) for part in style.prompt("\0").split("\0"))
    files.write_text(folder / TEMPLATE, f"{{{{ {before} + messages[-1]['content'] + {after} }}}}")


def style_of(folder: Path) -> PromptTemplate:
    """The style that the model in a folder was tuned with; one that says none is Alpaca's. Raises `GptmillError` for an unknown one."""
    try:
        name = files.read_json(folder / FILE)["prompt_style"]
    except FileNotFoundError:
        return STYLES["alpaca"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GptmillError(
            f"{folder / FILE} is not readable ({error}): delete it and run `dvc repro finetune_instruct`"
        ) from None
    if name not in list(STYLES):  # whatever it is, a list even
        raise GptmillError(
            f"{folder / FILE} names the prompt style {name!r}; there are {', '.join(STYLES)}. A newer gptmill may know it"
        )
    return STYLES[name]
