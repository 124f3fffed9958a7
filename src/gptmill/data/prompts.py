"""The prompt that an instruction becomes: Alpaca's (Taori et al. 2023), as the book uses it."""

INSTRUCTION = "### Instruction:"
INPUT = "### Input:"
RESPONSE = "### Response:"
_TASK = "Below is an instruction that describes a task. Write a response that appropriately completes the request."


def alpaca(instruction: str, input: str = "") -> str:
    """Everything up to where the answer begins."""
    parts = [_TASK, f"{INSTRUCTION}\n{instruction}"]
    if input:
        parts.append(f"{INPUT}\n{input}")
    return "\n\n".join([*parts, f"{RESPONSE}\n"])
