"""What is said of a judge whose address, scheme, proxy or name is wrong: each failure says what to change."""

import json
import socket
import ssl
import subprocess

import pytest
from pydantic import ValidationError

from chats import RECORD, reply, settings
from gptmill.core.errors import GptmillError
from gptmill.evaluation.judges.panel import Panel

BASE_URL = "base_url must be that of an OpenAI-compatible API, which ends with /v1"


@pytest.fixture(autouse=True)
def in_project(project):
    """Rubrics are there, and the cache is empty."""


def failure(base_url: str, model: str = "llama3", records: int = 1, **changes: object) -> str:
    judgements = list(
        Panel(settings("", model={"base_url": base_url, "model": model}, **changes)).judge(
            [RECORD | {"response": str(n)} for n in range(records)]
        )
    )
    assert {judgement["score"] for judgement in judgements} == {None}
    [failure] = {judgement["failure"] for judgement in judgements}
    return failure


def ollama(request, models=("llama3.2:1b", "qwen3:8b")):
    """Its answers to what it knows and what it doesn't."""
    if request.path == "/v1/models":
        return 200, {}, json.dumps({"object": "list", "data": [{"id": name} for name in models]}).encode()
    if request.path == "/v1/chat/completions":
        name = json.loads(request.body)["model"]
        if name in models:
            return reply("70")
        return 404, {}, json.dumps({"error": {"message": f"model '{name}' not found"}}).encode()
    return 404, {}, b"404 page not found"


@pytest.mark.parametrize(("base_url", "expected"), [
    ("http://127.0.0.1:11434/api/chat", "is Ollama's own API; judges speak its OpenAI-compatible one: http://127.0.0.1:11434/v1"),
    ("http://127.0.0.1:11434/api/generate/", "http://127.0.0.1:11434/v1"),
    ("https://api.openai.com/v1/chat/completions", "leave /chat/completions out"),
    ("https://api.openai.com/v1/models", "leave /models out"),
])  # fmt: skip
def test_addresses_that_can_not_be_right_are_refused_at_once(base_url, expected):
    with pytest.raises(ValidationError, match=expected):
        settings("", model={"base_url": base_url})


@pytest.mark.parametrize("path", ["", "/", "/api", "/api/v2"])
def test_a_base_url_without_v1_gets_the_one_that_answers(serve, path):
    server = serve(ollama)
    message = failure(f"{server.url}{path}", "qwen3:8b", records=5)
    assert message.startswith("the server answers 404 Not Found")
    assert message.endswith(f"its OpenAI-compatible API is at {server.url}/v1: set base_url to that")
    assert sum(request.method == "GET" for request in server.requests) <= 3, "it is asked once, not for each answer"


def test_a_wrong_models_name_gets_those_that_there_are_the_nearest_first(serve):
    message = failure(f"{serve(ollama).url}/v1", "qwen3", records=3)
    assert (
        message
        == "the server answers 404 Not Found: model 'qwen3' not found; it has no model qwen3; it has qwen3:8b, llama3.2:1b"
    )


@pytest.mark.parametrize(("models", "expected"), [
    ([], "it has no model yet: give it llama3"),
    ([f"model-{n}" for n in range(20)], " and 12 more"),
    (["\x1b[31mred\x07"], "it has \ufffd[31mred\ufffd"),
    (["x" * 5000], f"it has {'x' * 60}"),
])  # fmt: skip
def test_whatever_names_a_server_lists_one_line_comes_of_them(serve, models, expected):
    text = failure(f"{serve(lambda request: ollama(request, models)).url}/v1")
    assert text.endswith(expected) and text.isprintable()


@pytest.mark.parametrize(
    "listed", [b"[" * 99999, b"{}", b'{"data": 7}', b'{"data": [7]}', b'{"data": [{"id": null}]}', b"<html>", b"\xff"]
)
def test_a_list_of_models_that_is_none_changes_nothing(serve, listed):
    server = serve(lambda request: (200, {}, listed) if request.method == "GET" else (404, {}, b"no such model"))
    assert failure(f"{server.url}/v1").startswith("the server answers 404 Not Found: no such model")


def test_a_model_that_the_server_has_is_not_called_missing(serve):
    def answer(request):
        return ollama(request, ["llama3:latest"]) if request.method == "GET" else (404, {}, b"no")

    assert failure(f"{serve(answer).url}/v1") == "the server answers 404 Not Found: no"


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><html>Open WebUI</html>", b"\n <html>", b"\xef\xbb\xbf<html>"])
def test_a_page_is_called_a_page_and_asked_for_once(serve, waits, page):
    server = serve(lambda request: (200, {"Content-Type": "text/html"}, page))
    assert failure(server.url, records=5, concurrency=1).startswith(
        f"the server's reply is a web page, not JSON: {BASE_URL}"
    )
    assert len(server.requests) == 3, "the attempts of one answer"


def test_where_pages_are_there_is_no_such_method(serve):
    assert BASE_URL in failure(serve(lambda request: (405, {}, b"<html>")).url)


@pytest.mark.parametrize(
    "location", ["https://elsewhere.example/v1/chat/completions?key=secret", "/login?token=secret"]
)
def test_a_redirect_is_not_followed_and_says_where_to(serve, location):
    server = serve(lambda request: (301, {"Location": location}, b""))
    message = failure(f"{server.url}/v1")
    assert "it redirects to http" in message and "secret" not in message and len(server.requests) == 1


# --- http and https ---


def test_https_to_a_server_that_speaks_http(serve, waits):
    message = failure(serve(lambda request: reply("70")).url.replace("http:", "https:") + "/v1")
    assert message.startswith("no connection") and message.endswith(
        "it seems to speak http, not https: let base_url begin with http://"
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        b"\x15\x03\x01\x00\x02\x02F",
    ],
)
def test_http_to_a_server_that_speaks_https(waits, answer):
    """As Python's servers, Go's and OpenSSL's take it: they hang up, they say so, and they answer with an alert."""
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def hang_up():
            while True:
                try:
                    connection, _ = listening.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(answer)
                except OSError:
                    return

        threading.Thread(target=hang_up, daemon=True).start()
        message = failure(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")
        listening.shutdown(socket.SHUT_RDWR)
    assert "let base_url begin with https://" in message


def test_a_certificate_that_is_not_trusted(serve, waits, tmp_path):
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-days",
        "2",
    ]
    subprocess.run([*made, "-subj", "/CN=localhost"], cwd=tmp_path, check=True, capture_output=True)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    message = failure(f"https://127.0.0.1:{server.server_port}/v1")
    server.shutdown()
    server.server_close()
    assert "SSL_CERT_FILE" in message


# --- proxies ---


@pytest.fixture
def proxied(monkeypatch):
    def through(variable: str, proxy: str) -> None:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.setenv(variable, proxy)

    return through


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("status", [403, 407, 502, 503, 504, 404, None])
def test_a_proxy_that_catches_this_machine_is_named_with_what_to_export(serve, proxied, waits, variable, status):
    proxied(variable, serve(lambda request: (status, {}, b"<html>")).url if status else "http://127.0.0.1:9")
    here = serve(lambda request: reply("70"))
    message = failure(f"{here.url}/v1")
    assert message.endswith(f"through the proxy in {variable}: if it should not, export NO_PROXY=127.0.0.1")
    assert here.requests == []


def test_what_no_proxy_names_is_asked_directly(serve, proxied, monkeypatch):
    proxied("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    [judgement] = Panel(settings(serve(lambda request: reply("70")).url)).judge([RECORD])
    assert judgement["score"] == 70


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "ftp://127.0.0.1"])
def test_a_proxy_that_can_not_be_used_is_one_error(proxied, proxy):
    proxied("ALL_PROXY", proxy)
    with pytest.raises(GptmillError, match="a proxy in the environment"):
        failure("http://127.0.0.1:9/v1")
