import typing

import pytest

from gptmill.config.schema import InstructParams
from gptmill.core import files
from gptmill.core.errors import GptmillError
from gptmill.text.prompts import STYLE_FILE, TEMPLATES, load_template, save_template

TASK = "Below is an instruction that describes a task. Write a response that appropriately completes the request."
ALPACA, OPEN, PHI3 = (TEMPLATES[name] for name in ("alpaca", "alpaca_model_header", "phi3"))


def test_params_offer_the_styles_that_there_are():
    assert set(typing.get_args(InstructParams.model_fields["prompt_style"].annotation)) == set(TEMPLATES)


def test_a_prompt_is_alpacas_and_ends_where_the_answer_begins():
    assert ALPACA.prompt("Name the cat.") == f"{TASK}\n\n### Instruction:\nName the cat.\n\n### Response:\n"
    assert ALPACA.target("Tom.") == "Tom."


def test_an_input_has_a_section_of_its_own():
    prompt = f"{TASK}\n\n### Instruction:\nTranslate.\n\n### Input:\nthe mill\n\n### Response:\n"
    assert ALPACA.prompt("Translate.", "the mill") == prompt
    assert ALPACA.prompt("Translate.", "") == prompt.replace("### Input:\nthe mill\n\n", "")


def test_as_the_book_does_it_the_model_writes_the_header():
    assert OPEN.prompt("Name the cat.") == f"{TASK}\n\n### Instruction:\nName the cat."
    assert OPEN.target("Tom.") == "\n\n### Response:\nTom."


def test_phi3s_prompt_has_tags():
    assert PHI3.prompt("Translate.", "the mill") == "<|user|>\nTranslate.\nthe mill\n<|assistant|>\n"
    assert PHI3.prompt("Name the cat.") == "<|user|>\nName the cat.\n<|assistant|>\n"


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize("output", ["Tom.", "a\n\nb", "- x\n- y", "## Steps\n1. Mill"])
def test_what_a_model_learns_to_write_is_read_as_the_answer(template, output):
    assert template.parse_response(template.target(output)) == (output, False)
    further = template.target(output) + template.prompt("\nNext?", "x")[len(TASK if template is not PHI3 else "") :]
    assert template.parse_response(further) == (output, True)
    assert template.with_header("a", "b") + output == template.prompt("a", "b") + template.target(output)


@pytest.mark.parametrize(("written", "answer", "over"), [
    # nothing, or nothing but headers
    ("", "", False), ("\n \n", "", False), ("###", "", False), ("### Response:", "", False),
    ("### Response:\n\n### Response:\n", "", False),
    ("### Instruction:\nName the dog.", "", True), ("\n\n### Input:\n", "", True),
    # the header of the answer, once or twice, in its own spelling or another
    ("### Response:\nTom.", "Tom.", False), ("\n### Response: Tom.", "Tom.", False),
    ("### Response:\n### Response:\nTom", "Tom", False),
    ("###Response:\nTom.", "Tom.", False), ("## Response:\nTom.", "Tom.", False),
    ("### RESPONSE :\nTom.", "Tom.", False),
    # further sections
    ("Tom.\n\n### Instruction:\nName the dog.", "Tom.", True), ("Tom.\n### Input:\nx", "Tom.", True),
    ("Tom.\n### Response:\nNo, Ann.", "Tom.", True), ("Tom.### Instruction:\nx", "Tom.", True),
    ("Tom.\n#### Instructions:\nx", "Tom.", True),
    ("### Response:\nTom.\n\n### Response:\nNo, Ann.", "Tom.", True),
    # cut within a header
    ("Tom.\n\n###", "Tom.", False), ("Tom.\n\n### Instr", "Tom.", False), ("Tom.\n### Response", "Tom.", False),
    ("Tom.\n#", "Tom.", False),
    # what is part of the answer
    ("  Tom.\n", "Tom.", False), ("a\n\nb\n\n### of what\nc", "a\n\nb\n\n### of what\nc", False),
    ("### Ingredients:\nflour\n### Steps:\nmill", "### Ingredients:\nflour\n### Steps:\nmill", False),
    ("# Input:\nx", "# Input:\nx", False), ("Write `### Response:` first.", "Write `### Response:` first.", False),
    ("Input: x\nResponse: y", "Input: x\nResponse: y", False), ("Sing in C#", "Sing in C#", False),
])  # fmt: skip
def test_the_answer_is_what_stands_before_the_next_section(written, answer, over):
    assert ALPACA.parse_response(written) == (answer, over)


@pytest.mark.parametrize(("written", "answer", "over"), [
    ("\n\n### Response:\nTom.", "Tom.", False), ("### Response:Tom.", "Tom.", False), ("", "", False),
    ("\n\n### Resp", "", False),
    (" of the miller.\n\n### Input:\nx\n\n### Response:\nTom.", "Tom.", False),  # the prompt continues first
    ("\n\n### Response:\nTom.\n\n### Instruction:\nx", "Tom.", True),
    ("\n\n### Response:\n### Response:\nTom.", "Tom.", False),
    ("Tom.", "Tom.", False), ("Tom.\n\n### Input:\nx", "Tom.", False),  # it never writes the header: it may still
])  # fmt: skip
def test_with_the_header_left_to_the_model_the_answer_comes_after_it(written, answer, over):
    assert OPEN.parse_response(written) == (answer, over)


@pytest.mark.parametrize(("written", "answer", "over"), [
    ("Tom.<|end|>", "Tom.", True), ("Tom.\n<|user|>\nAnd?", "Tom.", True), ("<|assistant|>\nTom.", "Tom.", False),
    ("<|assistant|>:\nTom.<|assistant|>", "Tom.", True), ("Tom.\n<|us", "Tom.", False),
    ("### Input:\nx", "### Input:\nx", False),
    ("<|end|>", "", True), ("a <| b", "a <| b", False),
])  # fmt: skip
def test_in_phi3s_style_tags_end_the_answer(written, answer, over):
    assert PHI3.parse_response(written) == (answer, over)


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_folder_says_its_style(template, tmp_path):
    save_template(tmp_path, template)
    assert load_template(tmp_path) is template


def test_a_folder_that_says_none_is_alpacas(tmp_path):
    assert load_template(tmp_path) is ALPACA


@pytest.mark.parametrize(("content", "message"), [
    ('{"prompt_style": "chatml"}', "'chatml'; there are alpaca"), ("{", "not readable"), ("[]", "not readable"),
    ("{}", "not readable"),
    ('{"prompt_style": ["x"]}', "there are alpaca"),
])  # fmt: skip
def test_a_style_that_is_not_known_is_an_error(tmp_path, content, message):
    files.write_text(tmp_path / STYLE_FILE, content)
    with pytest.raises(GptmillError, match=message):
        load_template(tmp_path)


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_transformers_makes_the_same_prompt_of_a_chat(template, tokenizer, tmp_path):
    from transformers import AutoTokenizer

    tokenizer.save(tmp_path, 64)
    save_template(tmp_path, template)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    question = 'Say "{{ 1 }}" \\ in\nGerman.'
    chat = [{"role": "user", "content": question}]
    assert theirs.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) == template.prompt(question)
