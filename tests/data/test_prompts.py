from gptmill.data.prompts import alpaca

TASK = "Below is an instruction that describes a task. Write a response that appropriately completes the request."


def test_a_prompt_is_alpacas_and_ends_where_the_answer_begins():
    assert alpaca("Name the cat.") == f"{TASK}\n\n### Instruction:\nName the cat.\n\n### Response:\n"


def test_an_input_has_a_section_of_its_own():
    prompt = f"{TASK}\n\n### Instruction:\nTranslate.\n\n### Input:\nthe mill\n\n### Response:\n"
    assert alpaca("Translate.", "the mill") == prompt
    assert alpaca("Translate.", "") == prompt.replace("### Input:\nthe mill\n\n", "")
