"""The client of the LLM judges against servers that behave, and against one that does not."""

import json
import socket
import time
from email.utils import format_datetime

import pytest

from chats import RECORD, asked, reply, settings
from gptmill.core import paths
from gptmill.core.errors import GptmillError
from gptmill.evaluation.judges.panel import Panel
from gptmill.evaluation.judges.rate_limiter import RateLimiter


@pytest.fixture(autouse=True)
def in_project(project):
    """Rubrics are there, and the cache is empty."""


def judged(url: str, *records: dict, **changes) -> list[tuple]:
    """(score, failure) of each record."""
    return [(j["score"], j["failure"]) for j in Panel(settings(url, **changes)).judge(records or [RECORD])]


def test_what_is_sent_is_a_chat_of_temperature_0_with_a_seed_and_a_schema(serve):
    server = serve(lambda request: reply("85"))
    [judgement] = Panel(settings(server.url)).judge([RECORD])
    assert judgement == {"score": 85, "failure": None, "reason": "", "scores": {"llama3": 85}}
    [request] = server.requests
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    body = json.loads(request.body)
    assert (body["model"], body["temperature"], body["seed"], body["max_tokens"]) == ("llama3", 0, 0, 64)
    assert body["response_format"]["json_schema"]["schema"]["properties"] == {
        "score": {"type": "integer", "minimum": 0, "maximum": 100}
    }
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert all(RECORD[part] in asked(request) for part in RECORD)


def test_a_reply_may_be_as_long_as_the_server_allows(serve):
    server = serve(lambda request: reply("85"))
    judged(server.url, max_reply_tokens=0)
    assert "max_tokens" not in json.loads(server.requests[0].body)


@pytest.mark.parametrize("status", [400, 422])
def test_a_server_without_schemas_is_found_out_once(serve, status):
    def answer(request):
        return (status, {}, b'{"error": {"message": "nope"}}') if b"response_format" in request.body else reply("60")

    server = serve(answer)
    panel = Panel(settings(server.url, concurrency=4))
    records = [RECORD | {"response": f"answer {n}"} for n in range(8)]
    assert [judgement["score"] for judgement in panel.judge(records)] == [60] * 8
    assert sum(b"response_format" in request.body for request in server.requests) == 1
    assert len(server.requests) == 9 == panel.usage.requests


def test_a_bad_request_that_is_not_about_schemas_is_a_failure_that_says_why(serve):
    server = serve(lambda request: (400, {}, b'{"error": {"message": "the model llama3\\n does not exist"}}'))
    assert judged(server.url) == [(None, "the server answers 400 Bad Request: the model llama3 does not exist")]
    assert [request.method for request in server.requests] == ["POST", "POST", "GET"], (
        "at last it is asked which models it has"
    )


def test_scores_come_in_the_order_of_the_records(serve):
    server = serve(lambda request: reply(asked(request).split("score me ")[1].split()[0]))
    records = [RECORD | {"response": f"score me {n} "} for n in range(20)]
    assert [score for score, _ in judged(server.url, *records, concurrency=4)] == list(range(20))


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_server_that_is_busy_is_asked_again(serve, waits, status):
    replies = iter([(status, {}, b"busy"), (status, {}, b"busy"), reply("70")])
    server = serve(lambda request: next(replies))
    assert judged(server.url) == [(70, None)]
    assert len(server.requests) == 3 and len(waits) == 2


@pytest.mark.parametrize(("header", "least"), [("7", 7), (format_datetime, 20)])
def test_retry_after_is_honoured(serve, waits, header, least):
    from datetime import UTC, datetime, timedelta

    value = header if isinstance(header, str) else header(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    replies = iter([(429, {"Retry-After": value}, b""), reply("70")])
    assert judged(serve(lambda request: next(replies)).url) == [(70, None)]
    assert len(waits) == 1 and waits[0] >= least


@pytest.mark.parametrize(("value", "requests"), [("7200", 1), ("soon", 3), ("-5", 3), ("٣", 3), ("9" * 400, 1)])
def test_a_server_that_asks_for_too_long_a_pause_is_given_up_and_nonsense_is_no_pause(serve, waits, value, requests):
    server = serve(lambda request: (429, {"Retry-After": value.encode().decode("latin-1")}, b""))
    assert judged(server.url) == [(None, "the server answers 429 Too Many Requests")]
    assert len(server.requests) == requests and all(wait < 30 for wait in waits)


@pytest.mark.parametrize(("status", "requests", "expected"), [
    (429, 3, "429 Too Many Requests"), (500, 3, "500 Internal Server Error"), (404, 1, "404 Not Found: <no>"),
    (302, 1, "302 Found; it redirects to http://127.0.0.1:1/: let base_url begin as that does"),
    (401, 1, "401 Unauthorized: it wants a key: name its environment variable in api_key_env"),
])  # fmt: skip
def test_a_server_that_stays_away_is_a_failure(serve, waits, status, requests, expected):
    server = serve(lambda request: (status, {"Location": "http://127.0.0.1:1/"}, b'{"error": "<no>"}'))
    assert judged(server.url) == [(None, f"the server answers {expected}")]
    assert sum(request.method == "POST" for request in server.requests) == requests


@pytest.mark.parametrize(
    "content", ["It is quite good.", "150", "-3", "", "8.5/10", None, '{"score": "high"}', '{"score": 1']
)
def test_a_reply_that_is_no_score_is_asked_for_once_more_then_it_is_a_failure(serve, content):
    server = serve(lambda request: reply(content))
    [(score, failure)] = judged(server.url)
    assert score is None and failure
    assert len(server.requests) == 2 and "could not be read" in asked(server.requests[1])
    assert asked(server.requests[1]).startswith(asked(server.requests[0]))


def test_a_second_reply_may_be_a_score(serve):
    replies = iter([reply("Quite good!"), reply("80")])
    assert judged(serve(lambda request: next(replies)).url) == [(80, None)]


def test_a_reply_that_was_cut_is_no_score(serve):
    [(score, failure)] = judged(serve(lambda request: reply("Score: 8", finish="length")).url)
    assert score is None and "max_reply_tokens" in failure


def test_a_text_in_parts_is_put_together(serve):
    parts = [{"type": "thinking", "thinking": "99"}, {"type": "text", "text": "8"}, {"type": "text", "text": "5"}]
    assert judged(serve(lambda request: reply(parts)).url) == [(85, None)]


@pytest.mark.parametrize("body", [
    b"{", b"", b"7", b"[]", b"{}", b"null", b'{"choices": []}', b'{"choices": [{}]}', b'{"choices": 7}', b"\xff\xfe",
    b"[" * 99999,
    b'{"choices": [{"message": {"content": 85}}]}', b'{"choices": [{"message": {"content": {"text": "85"}}}]}', b'{"score": 85}',
    b'{"choices": [{"message": {"content": ["85"]}}]}', b'{"choices": [{"message": "85"}]}', b'{"error": {"message": "85"}}',
])  # fmt: skip
def test_what_is_no_chat_completion_is_asked_for_again_then_it_is_a_failure(serve, waits, body):
    server = serve(lambda request: (200, {}, body))
    [(score, failure)] = judged(server.url)
    assert score is None and failure in (
        "the server's reply is not JSON",
        "the server's reply is not a chat completion",
    )
    assert len(server.requests) == 3
    replies = iter([(200, {}, body), reply("40")])
    assert judged(serve(lambda request: next(replies)).url) == [(40, None)]


@pytest.mark.parametrize("usage", [7, {}, {"prompt_tokens": None}, {"prompt_tokens": -5, "completion_tokens": "x"}])
def test_a_server_that_does_not_count_tokens_is_a_judge_all_the_same(serve, usage):
    panel = Panel(settings(serve(lambda request: reply("85", usage=usage)).url))
    assert [judgement["score"] for judgement in panel.judge([RECORD])] == [85]
    assert (panel.usage.input_tokens, panel.usage.output_tokens, panel.usage.cost) == (0, 0, 0)


def test_tokens_requests_and_cost_are_counted(serve):
    server = serve(lambda request: reply("85", usage={"prompt_tokens": 1000, "completion_tokens": 3}))
    panel = Panel(settings(server.url, model={"input_price": 2.0, "output_price": 10.0}))
    list(panel.judge([RECORD, RECORD | {"response": "Tom"}, RECORD]))
    usage = panel.usage
    assert (usage.requests, usage.cached, usage.input_tokens, usage.output_tokens) == (2, 1, 2000, 6)
    assert usage.cost == pytest.approx(2 * (1000 * 2 + 3 * 10) / 1e6) and usage.seconds > 0
    assert "cost 0.0041" in str(usage) and usage.metrics()["judge_requests"] == 2


def test_a_closed_port_is_a_failure_for_each_answer_and_only_the_first_is_tried_again(waits):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    judgements = judged(f"http://127.0.0.1:{port}", *[RECORD | {"response": str(n)} for n in range(9)], concurrency=1)
    assert [score for score, _ in judgements] == [None] * 9
    assert all(failure.startswith("no connection") and str(port) not in failure for _, failure in judgements)
    assert len(waits) == 2


class Misbehaving:
    """Gives each answer, by its name, the replies of a script, one after the other."""

    BUSY, BROKEN, PROSE = (429, {"Retry-After": "1"}, b""), (500, {}, b"<html>"), reply("It is quite good.")
    CUT = (200, {"Content-Length": "999"}, b'{"choices": [{"message": {"content": "99')
    SCRIPT = {  # name: (its replies, the score)
        "good": ([reply("85")], 85), "fraction": ([reply("85/100")], 85), "fenced": ([reply('```json\n{"score": 70}\n```')], 70),
        "busy": ([BUSY, BUSY, reply("10")], 10), "fails": ([BROKEN, reply("20")], 20), "slow": (["slow", reply("30")], 30),
        "cut": ([CUT, reply("40")], 40), "prose": ([PROSE, reply("50")], 50), "half": ([(200, {}, b'{"choi'), reply("60")], 60),
        "always prose": ([PROSE] * 2, None), "too much": ([reply("150")] * 2, None), "too little": ([reply("-3")] * 2, None),
        "empty": ([reply("")] * 2, None), "wrong shape": ([reply({"score": 85})] * 3, None), "always busy": ([BUSY] * 3, None),
        "always fails": ([BROKEN] * 3, None), "always slow": (["slow"] * 3, None), "always cut": ([CUT] * 3, None),
        "never json": ([(200, {}, b"<html>99</html>")] * 3, None), "wrong key": ([reply('{"points": 85}')] * 2, None),
    }  # fmt: skip

    def __init__(self) -> None:
        self.left = {name: list(replies) for name, (replies, _) in self.SCRIPT.items()}

    def __call__(self, request):
        if b"response_format" in request.body:
            return 400, {}, b'{"error": {"message": "response_format is not supported"}}'
        answer = self.left[asked(request).split("NAME=")[1].split(";")[0]].pop(0)
        if answer == "slow":
            time.sleep(3)
            return reply("99")
        return answer


def test_every_way_to_misbehave_gives_the_right_score_or_a_failure(serve, waits):
    misbehaving = Misbehaving()
    records = [RECORD | {"response": f"NAME={name};"} for name in misbehaving.SCRIPT]
    judgements = judged(serve(misbehaving).url, *records, concurrency=8, timeout_seconds=1.5)
    assert [score for score, _ in judgements] == [score for _, score in misbehaving.SCRIPT.values()]
    assert all(bool(failure) == (score is None) for score, failure in judgements)
    assert misbehaving.left == {name: [] for name in misbehaving.SCRIPT}, (
        "neither more nor fewer requests than it takes"
    )


def test_a_server_that_sends_a_byte_now_and_then_is_out_of_time(serve, waits):
    """Each piece comes in time, the whole does not."""
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def trickle():
            while True:
                try:
                    connection, _ = listening.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
                        for _ in range(100):
                            time.sleep(0.05)
                            connection.sendall(b" ")
                except OSError:
                    if listening.fileno() < 0:
                        return

        threading.Thread(target=trickle, daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        assert judged(url, attempts=1, timeout_seconds=0.3) == [(None, "the server has stopped sending")]


# --- the key ---


def test_the_key_is_sent_and_shown_nowhere(serve, monkeypatch, capfd, caplog, waits):
    monkeypatch.setenv("JUDGE_KEY", "secret-key-123\n")
    replies = [
        (401, {}, b"secret-key-123"),
        reply("50"),
        (200, {}, b"{"),
        (404, {}, b'{"error": "secret-key-123 is unknown"}'),
    ]
    replies += [(500, {}, b"secret-key-123")] * 3
    server = serve(lambda request: replies.pop(0))
    with caplog.at_level("DEBUG"):
        records = [RECORD | {"response": str(n)} for n in range(5)]
        judgements = judged(server.url, *records, concurrency=1, attempts=1, model={"api_key_env": "JUDGE_KEY"})
    assert {request.headers.get("authorization") for request in server.requests} == {"Bearer secret-key-123"}
    assert judgements[0][1].endswith("it does not take the key in JUDGE_KEY") and judgements[3][1].endswith(
        ": … is unknown"
    )
    written = "".join(path.read_text() for path in paths.JUDGE_CACHE.rglob("*.json"))
    assert "secret-key-123" not in json.dumps(judgements) + "".join(capfd.readouterr()) + caplog.text + written


def test_without_a_variable_no_key_is_sent(serve, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key-123")
    server = serve(lambda request: reply("50"))
    judged(server.url)
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    ("key", "expected"),
    [(None, "needs its key in the environment variable JUDGE_KEY"), ("a\nb", "JUDGE_KEY holds characters")],
)
def test_a_key_that_is_not_there_or_no_key_stops_before_any_request(serve, monkeypatch, key, expected):
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    if key:
        monkeypatch.setenv("JUDGE_KEY", key)
    server = serve(lambda request: reply("50"))
    with pytest.raises(GptmillError, match=expected) as error:
        judged(server.url, model={"api_key_env": "JUDGE_KEY"})
    assert server.requests == [] and "a\nb" not in str(error.value)


# --- the cache ---


def test_a_second_run_asks_nothing_and_needs_no_key(serve, monkeypatch):
    monkeypatch.setenv("JUDGE_KEY", "k")
    server = serve(lambda request: reply("50" if b"fine" in request.body else "prose", usage={"prompt_tokens": 9}))
    changes = {"model": {"api_key_env": "JUDGE_KEY"}}
    records = [RECORD | {"response": "fine"}, RECORD | {"response": "bad"}]
    first = judged(server.url, *records, **changes)
    asked_for = len(server.requests)
    monkeypatch.delenv("JUDGE_KEY")
    panel = Panel(settings(server.url, **changes))
    assert [(j["score"], j["failure"]) for j in panel.judge(records)] == first == [(50, None), (None, first[1][1])]
    assert len(server.requests) == asked_for == 3
    assert (panel.usage.requests, panel.usage.cached, panel.usage.cost, panel.usage.input_tokens) == (0, 3, 0, 0)


@pytest.mark.parametrize(
    "changes", [{"rubric": "score-1-5"}, {"max_characters": 5}, {"max_reply_tokens": 9}, {"model": {"model": "llama4"}}]
)
def test_another_question_is_another_reply(serve, changes):
    server = serve(lambda request: reply("3"))
    judged(server.url)
    judged(server.url, **changes)
    assert len(server.requests) == 2


def test_how_a_question_is_sent_does_not_make_it_another(serve):
    server = serve(lambda request: reply("3"))
    judged(server.url)
    judged(server.url, concurrency=1, timeout_seconds=9.0, attempts=9)
    assert len(server.requests) == 1


def test_what_failed_without_a_reply_is_asked_again_by_the_next_run(serve, waits):
    replies = [(500, {}, b"")] * 3 + [reply("5")]
    server = serve(lambda request: replies.pop(0))
    assert [score for score, _ in judged(server.url)] == [None]
    assert [score for score, _ in judged(server.url)] == [5]


def test_the_same_answer_twice_is_asked_once_even_side_by_side(serve):
    def answer(request):
        time.sleep(0.1)
        return reply("5")

    server = serve(answer)
    assert judged(server.url, *[RECORD] * 6, concurrency=6) == [(5, None)] * 6
    assert len(server.requests) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", "7", '{"text": "99"}', '{"a": 1}'])
def test_a_file_of_the_cache_that_is_torn_is_as_if_it_were_not_there(serve, content):
    server = serve(lambda request: reply("5"))
    judged(server.url)
    [kept] = paths.JUDGE_CACHE.rglob("*.json")
    kept.write_text(content)
    assert judged(server.url) == [(5, None)]
    assert len(server.requests) == 2


def test_whoever_stops_reading_stops_the_asking(serve):
    def answer(request):
        time.sleep(0.02)
        return reply("5")

    server = serve(answer)
    judging = Panel(settings(server.url)).judge([RECORD | {"response": str(n)} for n in range(50)])
    next(judging)
    judging.close()
    assert len(server.requests) < 20
    assert len(list(paths.JUDGE_CACHE.rglob("*.json"))) == len(server.requests), "what came is kept"


# --- rate limit ---


def test_requests_are_kept_apart():
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    limiter = RateLimiter(30, clock=lambda: now[0], sleep=sleep)
    for _ in range(3):
        limiter.wait()
    now[0] += 60
    limiter.wait()
    assert slept == [0, 2, 2, 0]


def test_no_limit_is_no_wait():
    RateLimiter(0, sleep=lambda seconds: pytest.fail("it slept")).wait()
