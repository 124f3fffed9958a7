from gptmill.evaluation.judges import summary


def record(score, response="a b", instruction="Name it.", output="x", **more):
    return {"instruction": instruction, "input": "", "output": output, "response": response, "score": score, **more}


def test_a_kind_is_an_instructions_first_word_and_rare_ones_are_other():
    asked = ["Rewrite it.", "rewrite: that", "“Rewrite” this", "Name it.", "Name one.", "12", "", "Émigré?"]
    assert summary.task_kinds(asked) == ["rewrite"] * 3 + ["other"] * 5
    many = [f"{chr(97 + i)}word do it" for i in range(20) for _ in range(3 + (i == 19))]
    assert len(set(summary.task_kinds(many))) == summary.MOST_KINDS + 1 and summary.task_kinds(many)[-1] == "tword"


def test_the_summary_counts_every_answer_once_and_none_that_failed():
    judgements = [
        record(100, "x"),
        record(40, "a b c d e f g"),
        record(None, "no"),
        record(0, ""),
        record(60, "w " * 60, "Sort them."),
    ]
    result = summary.summarise("somebody", judgements)
    assert (result["mean_score"], result["median_score"], result["judged"], result["failed"]) == (50, 50, 4, 1)
    assert result["mean_score_low"] <= 50 <= result["mean_score_high"] and result["exactly_right"] == 0.2
    assert result["by_kind"].keys() == {"name", "other"} and result["by_kind"]["name"]["answers"] == 3
    assert {name: group["answers"] for name, group in result["by_length"].items()} == {
        "no words": 1, "1 to 5 words": 1, "6 to 10 words": 1, "over 50 words": 1,
    }  # fmt: skip
    assert result["by_length"]["6 to 10 words"] == {"mean": 40, "low": 40, "high": 40, "answers": 1}
    assert "gain" not in result


def test_the_summary_compares_with_the_base_model_where_there_is_one():
    result = summary.summarise(
        "somebody", [record(80, base_score=10), record(60, base_score=20), record(None, base_score=90)]
    )
    assert result["base_mean_score"] == 40 and result["gain"] == 55 and result["win_rate"] == 1
    assert result["gain_low"] == 40 and result["gain_high"] == 70
