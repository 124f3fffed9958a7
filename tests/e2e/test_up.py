"""`make ui`: both servers answer where it says, and both are gone when it is asked to end."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest


@pytest.fixture
def environment(tmp_path, root) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)]),
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_both_pages_are_there_until_sigterm(tmp_path, environment, prefect_home, empty_database):
    from gptmill.commands import servers

    shutil.copytree(prefect_home, environment["PREFECT_HOME"])
    shutil.copy(empty_database, tmp_path)
    ports = servers.free_port(), servers.free_port()
    command = [sys.executable, "-m", "gptmill", "up", "--mlflow-port", str(ports[0]), "--prefect-port", str(ports[1])]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as ui:
        try:
            said = []
            for line in ui.stdout:
                said.append(line)
                if "PREFECT_API_URL=" in line and "Flows" in line:
                    break
            addresses = {line.split()[0]: line.split()[1] for line in said if line.startswith(("MLflow:", "Prefect:"))}
            assert addresses == {
                "MLflow:": f"http://127.0.0.1:{ports[0]}",
                "Prefect:": f"http://127.0.0.1:{ports[1]}",
            }, said
            for address in addresses.values():
                assert "<html" in httpx.get(address, follow_redirects=True).text.lower()
            api = said[-1].split("PREFECT_API_URL=")[1].strip()
            assert httpx.get(f"{api}/health").json() is True
            made = [f"{addresses['MLflow:']}/{path}/2.0/mlflow/experiments/create" for path in ("api", "ajax-api")]
            for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Host": "10.evil.example"}):
                for url in (f"{api}/flows/", *made):
                    assert httpx.post(url, headers=headers, json={"name": "x"}).status_code == 403, (url, headers)
            assert (
                f"{api}" in httpx.get(f"{addresses['Prefect:']}/ui-settings").text
            )  # where the page looks for the API
        finally:
            ui.send_signal(signal.SIGTERM)
            ui.communicate(timeout=60)
    assert ui.returncode == 0
    assert not any(listens(port) for port in ports)


def test_a_port_that_is_taken_is_named(tmp_path, environment):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "gptmill", "up", "--prefect-port", port]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"port {port} is taken" in done.stderr and "--prefect-port" in done.stderr and "Traceback" not in done.stderr


def test_a_store_that_is_a_server_already_is_not_served_again(tmp_path, environment):
    given = environment | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-m", "gptmill", "up"], cwd=tmp_path, env=given, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert (
        done.stderr.startswith("error: MLFLOW_TRACKING_URI names a server already") and "Traceback" not in done.stderr
    )


def test_a_server_that_ends_early_is_no_endless_wait(tmp_path, environment):
    from gptmill.commands import servers
    from gptmill.core.errors import GptmillError

    port = servers.free_port()
    server = servers.Server("Mine", ("platform",), f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}/health")
    with (
        pytest.raises(GptmillError, match="Mine ended with 0"),
        servers.running(server, environment=environment, log=tmp_path / "log"),
    ):
        pass


def test_schedules_need_a_server_that_stays(tmp_path, environment, root):
    command = [sys.executable, "-m", "pipelines.deployments"]
    for url, told in (("", "PREFECT_API_URL"), ("http://127.0.0.1:9/api", "127.0.0.1:9")):
        given = environment | {"PREFECT_API_URL": url}
        done = subprocess.run(command, cwd=Path(tmp_path), env=given, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ") and told in done.stderr and "make ui" in done.stderr
