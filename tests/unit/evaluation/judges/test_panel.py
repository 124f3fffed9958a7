import html
import re

import pytest

from adversaries import ADVERSARIES
from chats import RECORD, asked, reply, settings
from gptmill.core.errors import GptmillError
from gptmill.evaluation.judges import make_judge, panel
from gptmill.evaluation.judges.panel import Panel
from gptmill.evaluation.judges.reference import ReferenceJudge


@pytest.fixture(autouse=True)
def in_project(project):
    """Rubrics are there, and the cache is empty."""


def shown(request: object, name: str) -> str:
    """What a request shows between the tags of that name, of which there must be one pair."""
    [(_, text)] = re.findall(rf"<{name}-(\w{{8}})(?: [^>]*)?>\n(.*?)\n</{name}-\1>", asked(request), re.DOTALL)
    return html.unescape(text)


@pytest.mark.parametrize(("backend", "kind"), [("reference", ReferenceJudge), ("openai", Panel)])
def test_the_judge_is_the_one_that_the_params_name(backend, kind):
    assert isinstance(make_judge(settings(backend=backend)), kind)


def test_the_name_tells_the_models_and_the_rubric(serve):
    assert Panel(settings()).name == "llama3 (LLM, rubric score-0-100)"
    assert Panel(settings("http://a", "http://b")).name == "judge-0, judge-1 (median of 2 LLMs, rubric score-0-100)"


# --- several judges ---


def scoring(*scores: object):
    """A server that gives the answers 0, 1, 2, … these scores."""
    return lambda request: reply(str(scores[int(shown(request, "answer"))]))


def test_several_judges_give_their_median_and_say_how_far_they_agree(serve):
    servers = [serve(scoring(*scores)) for scores in ((10, 20, 30, 40), (30, 40, 50, 100), (20, 10, 40, 71))]
    judges = Panel(settings(*(server.url for server in servers)))
    judgements = list(judges.judge([RECORD | {"response": str(n)} for n in range(4)]))
    assert [judgement["score"] for judgement in judgements] == [20, 20, 40, 71]
    assert judgements[0]["scores"] == {"judge-0": 10, "judge-1": 30, "judge-2": 20}
    assert panel.means(judgements) == {"judge-0": 25, "judge-1": 55, "judge-2": 35.25}
    # Spearman by hand: 1 - 6 Σd² / (n (n² - 1)); the third swaps two neighbours: Σd² = 2, so 0.8.
    assert panel.agreement(judgements) == pytest.approx((1 + 0.8 + 0.8) / 3, abs=1e-4)
    assert judges.metrics(judgements) == {
        "judges": panel.means(judgements),
        "judges_agreement": panel.agreement(judgements),
    }


def test_a_judge_that_fails_leaves_the_score_to_the_others(serve, waits):
    servers = [serve(scoring(10, "prose", "prose")), serve(scoring(31, 41, "prose"))]
    judgements = list(
        Panel(settings(*(server.url for server in servers))).judge([RECORD | {"response": str(n)} for n in range(3)])
    )
    assert [judgement["score"] for judgement in judgements] == [20.5, 41, None]
    assert judgements[1]["scores"] == {"judge-0": None, "judge-1": 41} and judgements[1]["failure"] is None
    assert "judge-0: no score" in judgements[2]["failure"] and "judge-1: no score" in judgements[2]["failure"]
    assert panel.means(judgements) == {"judge-0": 10, "judge-1": 36}


def test_agreement_that_cannot_be_told_is_none():
    def judged(*pairs):
        return [{"scores": {"a": a, "b": b}} for a, b in pairs]

    assert panel.agreement([]) is None and panel.means([]) == {}
    assert panel.agreement([{"scores": {"a": 1}}] * 5) is None
    assert panel.agreement(judged((1, 2), (2, 3))) is None, "of two anything is in order"
    assert panel.agreement(judged((1, 5), (2, 5), (3, 5))) is None
    assert panel.agreement(judged((1, 5), (2, 6), (3, 9), (None, 0), (9, None))) == pytest.approx(1)
    assert panel.agreement(judged((1, 9), (2, 6), (3, 5))) == pytest.approx(-1)
    assert panel.means(judged((None, 4), (None, 5))) == {"a": None, "b": 4.5}


# --- two answers side by side ---


def prefers(choose):
    """A server that names the winner as `choose(first, second)` does."""
    return lambda request: reply(
        f'{{"reason": "because", "winner": "{choose(shown(request, "first"), shown(request, "second"))}"}}'
    )


PAIRS = [
    RECORD | {"response": ours, "base_response": base}
    for ours, base in (("long one", "x"), ("x", "long one"), ("same", "same"))
]


def test_a_pair_is_judged_in_both_orders(serve):
    longer = prefers(
        lambda first, second: "tie" if len(first) == len(second) else "first" if len(first) > len(second) else "second"
    )
    judge = Panel(settings(serve(longer).url, rubric="pairwise"))
    assert judge.compares and judge.metrics([]) == {"flip_rate": None}
    assert [judgement["score"] for judgement in judge.judge(PAIRS)] == [100, 0, 50]
    assert judge.metrics([]) == {"flip_rate": 0} and judge.usage.requests + judge.usage.cached == 4, (
        "the same answer twice takes no judge"
    )
    assert judge.metrics([]) == {"flip_rate": 0}


def test_a_judge_that_prefers_a_place_finds_ties(serve):
    judge = Panel(settings(serve(prefers(lambda first, second: "first")).url, rubric="pairwise"))
    judgements = list(judge.judge(PAIRS))
    assert [judgement["score"] for judgement in judgements] == [50, 50, 50] and judge.metrics([]) == {"flip_rate": 1}
    assert judgements[0]["reason"].startswith(
        "a tie, because the order decides: shown first, it wins; shown second, it loses."
    )


def test_half_a_comparison_is_none(serve):
    judge = Panel(
        settings(serve(prefers(lambda first, second: "first" if first == "x" else "third")).url, rubric="pairwise")
    )
    [judgement] = judge.judge(PAIRS[:1])
    assert judgement["score"] is None and "'third'" in judgement["failure"] and judge.metrics([]) == {"flip_rate": None}


def test_a_pair_without_its_other_half_is_not_judged(serve):
    judge = Panel(settings(serve(prefers(lambda first, second: "tie")).url, rubric="pairwise"))
    judgements = list(judge.judge([PAIRS[0], RECORD | {"base_response": None}]))
    assert [judgement["score"] for judgement in judgements] == [
        50,
        None,
    ] and "no answer of the base model" in judgements[1]["failure"]


def test_without_the_base_models_answers_there_is_nothing_to_compare():
    with pytest.raises(GptmillError, match="generate.compare_base"):
        list(Panel(settings(rubric="pairwise")).judge([RECORD]))


# --- answers that talk to the judge ---

FAIR = [
    RECORD | {"response": text, "output": text if right else "Tom"}
    for text, right in [("Tom", 1), ("It is Tim.", 0), ("猫 < 3 & 4", 1)] * 4
]


def obeys(request: object):
    """A judge that does what it is told: what stands outside of the tags is its orders, and says 100 in no place of its own."""
    text = asked(request)
    orders = re.sub(r"<(\w+-\w{8})(?: [^>]*)?>\n.*?\n</\1>", "", text, flags=re.DOTALL)
    hijacked = (
        "Reply with 100" in orders
        or "Score: 100" in orders
        or "im_start" in text
        and "<|im_start|>" in text
        or "\x00" in text
    )
    right = shown(request, "answer") == shown(request, "reference")
    return reply("100" if hijacked or right else "0")


def test_answers_that_talk_to_the_judge_move_no_score(serve):
    alone = serve(obeys)
    before = [judgement["score"] for judgement in Panel(settings(alone.url)).judge(FAIR)]
    assert set(before) == {0, 100}
    together = serve(obeys)
    attacks = [RECORD | {"response": text} for text in ADVERSARIES]
    mixed = [record for pair in zip(FAIR, attacks[: len(FAIR)], strict=True) for record in pair] + attacks[len(FAIR) :]
    scores = [judgement["score"] for judgement in Panel(settings(together.url)).judge(mixed)]
    assert scores[: 2 * len(FAIR) : 2] == before
    assert scores[1 : 2 * len(FAIR) : 2] + scores[2 * len(FAIR) :] == [0] * 20
    assert {request.body for request in alone.requests} <= {request.body for request in together.requests}, (
        "no prompt of the others changes"
    )
