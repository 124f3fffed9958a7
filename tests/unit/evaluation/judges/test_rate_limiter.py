"""How many requests are in flight: on a simulated clock for servers of every kind, then against a server that answers one at a time."""

import heapq
import threading
import time
from itertools import count

import pytest

from chats import RECORD, reply, settings
from gptmill.evaluation.judges.panel import Panel
from gptmill.evaluation.judges.rate_limiter import HOLD, AdaptiveConcurrency, Closed


def simulate(
    slots: int, requests: int, *, most: int = 8, timeout: float = 60.0, service: float = 1.0, loading: float = 0.0
) -> tuple:
    """The highest limit, the last one, the longest latency and the whole time, of a server that answers so many at once."""
    limit = AdaptiveConcurrency(most, timeout)
    now, ends, free, order = 0.0, [], [0.0] * slots, count()
    highest, longest = 1, 0.0
    while requests or ends:
        while requests and len(ends) < limit.limit:
            in_flight, requests = limit.acquire(), requests - 1
            begins = max(now, heapq.heappop(free))
            done = begins + service + (loading if begins == 0 else 0)
            heapq.heappush(free, done)
            heapq.heappush(ends, (done, next(order), now, in_flight))
        now, _, began, in_flight = heapq.heappop(ends)
        limit.release(in_flight, now - began)
        highest, longest = max(highest, limit.limit), max(longest, now - began)
    return highest, limit.limit, longest, now


def test_a_server_that_answers_one_at_a_time_gets_one_after_a_trial():
    highest, last, longest, took = simulate(slots=1, requests=30)
    assert (highest, last, took) == (2, 1, 30) and longest <= 2, "the server never waited for a request"


def test_a_server_with_room_gets_all_that_is_allowed():
    assert simulate(slots=100, requests=100)[:3] == (8, 8, 1.0)
    assert simulate(slots=100, requests=100)[3] < 30, "of 100 one by one"
    assert simulate(slots=100, requests=100, most=1)[:2] == (1, 1)


@pytest.mark.parametrize("slots", [2, 3, 4, 6])
def test_a_server_with_some_room_gets_about_as_many_as_it_answers_at_once(slots):
    _, last, longest, took = simulate(slots=slots, requests=400, most=32)
    assert slots <= last <= 2 * slots and longest <= 2.5 and took < 1.2 * 400 / slots


def test_the_first_request_may_wait_for_the_model_to_be_loaded():
    highest, last, *_ = simulate(slots=1, requests=30, loading=20)
    assert (highest, last) == (2, 1)


@pytest.mark.parametrize("service", [5.0, 20.0, 40.0, 59.0])
@pytest.mark.parametrize("slots", [1, 2, 3])
def test_no_request_waits_until_it_times_out(slots, service):
    assert simulate(slots=slots, requests=60, service=service, timeout=60.0)[2] < 60


def test_more_are_tried_again_after_a_while():
    limit = AdaptiveConcurrency(4, 60)
    for latency in [1.0] * 3 + [2.0] * 6:  # one in flight, then two that share the server
        for _ in range(limit.limit):
            in_flight = limit.acquire()
        for _ in range(limit.limit):
            limit.release(in_flight, latency)
    assert limit.limit == 1
    for _ in range(3 * (HOLD + 1)):
        limit.release(limit.acquire(), 1.0)
    assert limit.limit == 2


def test_one_that_must_be_alone_waits_for_the_others_and_they_for_it():
    limit = AdaptiveConcurrency(4, 60)
    limit.limit = 4
    first = limit.acquire()
    order, threads = [], []

    def ask(name: str, alone: bool) -> None:
        in_flight = limit.acquire(alone)
        order.append((name, in_flight))
        limit.release(in_flight, None, alone)

    for name, alone in (("alone", True), ("other", False)):
        threads.append(threading.Thread(target=ask, args=(name, alone)))
        threads[-1].start()
        while not limit._alone:
            time.sleep(0.001)
    time.sleep(0.05)
    assert order == []
    limit.release(first, None)
    for thread in threads:
        thread.join()
    assert order[0] == ("alone", 1) and len(order) == 2


def test_those_that_wait_are_sent_away_when_it_is_closed():
    limit = AdaptiveConcurrency(1, 60)
    limit.acquire()
    raised = []

    def wait(alone: bool) -> None:
        try:
            limit.acquire(alone)
        except Closed:
            raised.append(alone)

    threads = [threading.Thread(target=wait, args=(alone,)) for alone in (True, False)]
    for thread in threads:
        thread.start()
    limit.close()
    for thread in threads:
        thread.join(10)
    assert sorted(raised) == [False, True]


# --- through the client ---


class OneAtATime:
    """Answers one request at a time, in `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.busy, self.most, self.waiting = seconds, threading.Lock(), 0, 0

    def __call__(self, request):
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        with self.busy:
            time.sleep(self.seconds)
            self.waiting -= 1
        return reply("70")


RECORDS = [RECORD | {"response": f"answer {n}"} for n in range(12)]


def test_twelve_of_twelve_are_judged_by_a_server_that_answers_one_at_a_time(project, serve, waits):
    one_at_a_time = OneAtATime(0.2)
    server = serve(one_at_a_time)
    panel = Panel(settings(server.url, timeout_seconds=0.6, concurrency=4))
    assert [judgement["score"] for judgement in panel.judge(RECORDS)] == [70] * 12
    assert one_at_a_time.most <= 2
    assert panel.usage.seconds < 1.5 * 12 * 0.2 + 2, "about the time of one by one, and of a clock on the wall"


def test_a_request_that_timed_out_is_made_again_with_nothing_else_in_flight(project, serve, waits):
    begun, ended, tries = [], [], []

    def answer(request):
        is_late = b"answer 9" in request.body
        if is_late:
            tries.append((len(begun), len(ended)))
        if is_late and len(tries) == 1:
            time.sleep(1.0)  # nobody waits for it any more
        else:
            begun.append(request)
            time.sleep(0.05)
            ended.append(request)
        return reply("70")

    panel = Panel(settings(serve(answer).url, timeout_seconds=0.5, concurrency=8))
    assert [judgement["score"] for judgement in panel.judge(RECORDS)] == [70] * 12
    _, (begun_before, ended_before) = tries
    assert begun_before == ended_before, "others were in flight when it was made again"


def test_seconds_are_those_of_a_clock_on_the_wall(project, serve):
    def answer(request):
        time.sleep(0.1)
        return reply("70")

    urls = [serve(answer).url for _ in range(4)]
    panel, began = Panel(settings(*urls)), time.monotonic()
    list(panel.judge(RECORDS[:3]))
    took = time.monotonic() - began
    assert panel.usage.seconds == pytest.approx(took, rel=0.2) and panel.usage.seconds < 12 * 0.1


def test_a_server_that_never_answers_is_given_up_after_one_question(project, serve, waits):
    gone = threading.Event()

    def answer(request):
        gone.wait(5)
        return reply("70")

    server = serve(answer)
    judgements = list(Panel(settings(server.url, timeout_seconds=0.2, attempts=2)).judge(RECORDS))
    gone.set()
    assert {(judgement["score"], judgement["failure"]) for judgement in judgements} == {
        (None, "the server has stopped sending")
    }
    assert len(server.requests) <= 4
