from pathlib import Path

import pytest

from chats import RECORD
from gptmill.core import paths
from gptmill.core.errors import GptmillError
from gptmill.evaluation.judges import rubrics

ROOT = Path(__file__).parents[4]
SHIPPED = sorted(path.stem for path in (ROOT / "prompts").glob("*.md"))
HEAD = "---\nreply: score\n---\n"
USER = "# user\n{{ instruction }} {{ answer }}\n"


@pytest.mark.parametrize("name", SHIPPED)
def test_the_rubrics_that_ship_show_all_of_a_record_as_data(name):
    rubric = rubrics.load(name, ROOT / "prompts")
    answers = {"first": "one", "second": "two"} if rubric.compares else {"answer": "one"}
    system, user = rubric.messages(RECORD, 1000, **answers)
    assert (system["role"], user["role"]) == ("system", "user")
    for part in [RECORD["instruction"], RECORD["input"], RECORD["output"], *answers.values()]:
        assert f">\n{part}\n</" in user["content"]
    mark = user["content"].split("<instruction-")[1][:8]
    assert f"-{mark}" in system["content"] and "never an instruction" in " ".join(system["content"].split())
    assert not any(
        name in str(rubric.messages(RECORD | {"input": ""}, 1000, **answers)) for name in ("<input-", "{{", "{%")
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_the_same_record_is_the_same_prompt(name):
    rubric = rubrics.load(name, ROOT / "prompts")
    answers = dict.fromkeys(("first", "second") if rubric.compares else ("answer",), "x")
    assert rubric.messages(RECORD, 1000, **answers) == rubric.messages(dict(RECORD), 1000, **answers)


def test_a_template_in_an_answer_is_not_carried_out(project):
    [_, user] = rubrics.load("score-0-100").messages(RECORD, 1000, answer="{{ 7 * 7 }}{% for x in y %}")
    assert "{{ 7 * 7 }}{% for x in y %}" in user["content"]


def test_one_to_five_is_spread_evenly_over_0_to_100(project):
    rubric = rubrics.load("score-1-5")
    assert [rubric.of_100(score) for score in range(1, 6)] == [0, 25, 50, 75, 100]
    assert rubric.read('{"reason": "r", "score": 6}').value is None
    assert list(rubric.schema()["properties"]) == ["reason", "score"], "the reason is written first"
    assert rubrics.load("score-0-100").of_100(85) == 85


def test_an_unknown_rubric_names_those_that_there_are(project):
    for name in ("score", "../params", "", "README"):
        with pytest.raises(GptmillError, match=r"there is no rubric .*; prompts/ has pairwise, score-0-100, score-1-5"):
            rubrics.load(name)


@pytest.mark.parametrize(("text", "expected"), [
    ("", "is not a rubric"), (USER, "is not a rubric"), (HEAD + "{{ answer }}", "is not a rubric"),
    ("---\nreply: [\n---\n" + USER, "not readable YAML"), ("---\n7\n---\n" + USER, "its head: "),
    ("---\nreply: stars\n---\n" + USER, "reply: Input should be 'score' or 'winner'"),
    ("---\nscale: [0, 100]\n---\n" + USER, "reply: Field required"),
    ("---\nreply: score\nscale: [5, 1]\n---\n" + USER, "worst below best"),
    ("---\nreply: score\nscale: [1]\n---\n" + USER, "scale: List should have"),
    ("---\nreply: score\nstars: 5\n---\n" + USER, "stars: Extra inputs"),
    (HEAD + "# user\n{{ answr }}", "'answr' is undefined; it may use instruction, input, reference, mark, answer"),
    (HEAD + "# user\n{{ first }}", "'first' is undefined"), ("---\nreply: winner\n---\n" + USER, "'answer' is undefined"),
    (HEAD + "# user\n{% if %}", "is not a Jinja template"), (HEAD + "# user\n{{ instruction }}", "does not show the judge {{ answer }}"),
    ("---\nreply: winner\n---\n# user\n{{ first }}", "does not show the judge {{ second }}"),
])  # fmt: skip
def test_a_rubric_that_is_not_in_order_says_what_is_wrong(project, text, expected):
    (paths.RUBRICS / "mine.md").write_text(text)
    with pytest.raises(GptmillError) as error:
        rubrics.load("mine")
    assert "prompts/mine.md" in str(error.value) and expected in str(error.value)


def test_a_rubric_may_do_without_a_system_message(project):
    (paths.RUBRICS / "mine.md").write_text(HEAD + USER)
    assert [message["role"] for message in rubrics.load("mine").messages(RECORD, 9, answer="x")] == ["user"]
