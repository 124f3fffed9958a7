"""Prefect's own server takes the templates of the pools, and nothing that a web page sends."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

import gptmill

POOLS = sorted((Path(__file__).parents[2] / "pipelines" / "pools").glob("*.json"))


@pytest.mark.parametrize("path", POOLS, ids=lambda path: path.stem)
def test_a_pool_can_be_made_of_its_template(path, prefect_server):
    template = json.loads(path.read_text())
    used = set(re.findall(r"\{\{ (\w+) \}\}", path.read_text()))
    assert used == set(template["variables"]["properties"])
    assert template["variables"]["properties"]["image"]["default"] == f"gptmill:{gptmill.__version__}"
    asked = {"name": f"{path.stem}-tried", "type": path.stem, "base_job_template": template}
    made = httpx.post(f"{prefect_server}/work_pools/", json=asked, timeout=30)
    assert made.status_code == 201, made.text


def foreign_posts(api: str, ask: Callable[..., httpx.Response]) -> list[int]:
    """The three requests of a web page that had a process worker run a command of its own."""
    command = {"work_pool_name": "gptmill", "entrypoint": "x.py:x", "job_variables": {"command": "touch taken"}}
    none = "00000000-0000-0000-0000-000000000000"
    posts = {"flows/": {"name": "x"}, "deployments/": {"name": "x", "flow_id": none, **command}}
    posts |= {f"deployments/{none}/create_flow_run": {"state": {"type": "SCHEDULED"}}}
    return [ask("POST", f"{api}/{path}", json=body).status_code for path, body in posts.items()]


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "http://localhost:1"}], ids=str
)
def test_prefects_server_refuses_what_a_web_page_sends(prefect_server, headers):
    with httpx.Client(headers=headers, timeout=30) as client:
        assert foreign_posts(prefect_server, client.request) == [403, 403, 403]
        assert client.get(f"{prefect_server}/health").status_code == 403
        assert client.get(prefect_server.removesuffix("/api")).status_code == 403
