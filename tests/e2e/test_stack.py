"""Acceptance: compose.yaml's own commands and settings, without an engine: only the hosts' names are replaced by ports of this machine.

Postgres is Debian's package; S3 is moto's server in MinIO's place.
"""

import json
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
COMPOSE = YAML(typ="safe").load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
SECRET = "s3cret"


def binaries() -> Path | None:
    """The folder with Postgres's programs."""
    found = shutil.which("postgres")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


def unprivileged() -> dict[str, object]:
    """Postgres refuses to run as root: whom to run it as then."""
    if os.geteuid():
        return {}
    names = {user.pw_name: user for user in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextmanager
def postgres(port: int) -> Iterator[Callable[[str, str], list[tuple]]]:
    """A server with a database `prefect`, and `mlflow` as compose.yaml makes it; gives `ask(database, sql)`."""
    import psycopg2

    programs, who, service = binaries(), unprivileged(), SERVICES["postgres"]["environment"]

    def ask(database: str, sql: str) -> list[tuple]:
        user = service["POSTGRES_USER"]
        connection = psycopg2.connect(
            host="127.0.0.1", port=port, user=user, password=SECRET, dbname=database, connect_timeout=5
        )
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    with tempfile.TemporaryDirectory(prefix="gptmill-postgres-") as folder:
        if who:
            os.chown(folder, who["user"], who["group"])
        password = Path(folder, "password")
        password.write_text(SECRET)
        password.chmod(0o644)  # in a folder that nobody else can enter
        settings = dict(cwd=folder, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, **who)
        initdb = [
            programs / "initdb",
            "-D",
            "data",
            "-U",
            service["POSTGRES_USER"],
            "--auth=scram-sha-256",
            "--pwfile=password",
        ]
        subprocess.run([*initdb, "--no-sync", "--encoding=UTF8"], **settings, check=True, capture_output=True)
        quick = [
            "-c",
            "fsync=off",
            "-c",
            "unix_socket_directories=",
            "-c",
            "listen_addresses=127.0.0.1",
            "-p",
            str(port),
        ]
        with Path(folder, "log").open("w") as log:
            server = subprocess.Popen([programs / "postgres", "-D", "data", *quick], **settings, stdout=log, stderr=log)
        try:
            for attempt in range(100):
                try:
                    ask("postgres", f"CREATE DATABASE {service['POSTGRES_DB']}")
                    break
                except psycopg2.OperationalError:
                    assert attempt < 99 and server.poll() is None, Path(folder, "log").read_text()
                    time.sleep(0.1)
            ask("postgres", COMPOSE["configs"]["databases"]["content"])
            yield ask
        finally:
            server.terminate()
            server.wait(timeout=30)


@pytest.fixture(scope="module")
def stack(settled, api, tmp_path_factory) -> Iterator[SimpleNamespace]:
    """Everything up, and one run of `nightly` through the worker; the project's classifier is still to be trained."""
    pytest.importorskip("psycopg2", reason="the stack is tried on Postgres, and psycopg2 is not installed")
    if binaries() is None:
        pytest.skip("the stack is tried on Postgres, which is not installed: apt-get install postgresql")
    from moto.server import ThreadedMotoServer

    from gptmill.commands import servers

    ports = {name: servers.free_port() for name in ("postgres", "minio", "mlflow", "prefect", "worker")}
    places = {
        "@postgres:5432": "postgres",
        "//minio:9000": "minio",
        "//mlflow:5000": "mlflow",
        "//prefect:4200": "prefect",
    }
    places |= {"//127.0.0.1:4200": "prefect", "--port=5000": "mlflow", "--port=4200": "prefect"}

    def here(text: str) -> str:
        """What compose.yaml says, on this machine."""
        text = re.sub(r"\$\{\w+(:-[^}]*)?\}", lambda default: (default[1] or f":-{SECRET}")[2:], text)
        for place, name in places.items():
            scheme = re.match("@|//|--port=", place)[0]
            text = text.replace(place, f"{scheme}{'' if '=' in scheme else '127.0.0.1:'}{ports[name]}")
        return text.replace("--host=0.0.0.0", "--host=127.0.0.1").replace("/mill", str(project.folder))

    def server(name: str, health: str) -> servers.Server:
        url = f"http://127.0.0.1:{ports[name]}"
        settings = {key: here(value) for key, value in SERVICES[name]["environment"].items()}
        return servers.Server(
            name, tuple(here(word) for word in SERVICES[name]["command"]), url, url + health, settings
        )

    project = settled("evaluate_classifier", "report")
    log = tmp_path_factory.mktemp("stack") / "log"
    s3 = ThreadedMotoServer(ip_address="127.0.0.1", port=ports["minio"], verbose=False)
    s3.start()
    with postgres(ports["postgres"]) as ask:
        httpx.put(f"http://127.0.0.1:{ports['minio']}/mlflow").raise_for_status()  # what the service `bucket` does
        with servers.running(
            server("mlflow", "/health"), server("prefect", "/api/health"), environment=project.environment, log=log
        ):
            service = SERVICES["worker"]
            own = {
                "PREFECT_WORKER_WEBSERVER_PORT": str(ports["worker"]),
                "PREFECT_WORKER_QUERY_SECONDS": "1",
            }
            environment = (
                project.environment | {key: here(value) for key, value in service["environment"].items()} | own
            )
            with log.with_name("worker").open("w") as output:
                given = dict(
                    cwd=project.folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
                )
                worker = subprocess.Popen([here(word) for word in service["command"]], **given)
            try:
                prefect = api(environment["PREFECT_API_URL"])
                run = prefect.start("gptmill-scheduled/nightly", promote=False, worker=worker)
                prefect.await_end("nightly")
                health = httpx.get(f"http://127.0.0.1:{ports['worker']}/health")
                run = prefect.client.get(f"flow_runs/{run['id']}").json()
                yield SimpleNamespace(
                    run=run, prefect=prefect, ask=ask, health=health.status_code, mlflow=environment["MLFLOW_TRACKING_URI"],
                    s3=f"http://127.0.0.1:{ports['minio']}", worker=log.with_name("worker"),
                )  # fmt: skip
            finally:
                servers.stop([worker])
    s3.stop()


def test_the_same_flow_passes_through_the_worker(stack):
    assert stack.run["state_type"] == "COMPLETED", (stack.run["state"]["message"], stack.worker.read_text())
    assert stack.run["work_pool_name"] == "gptmill" and stack.health == 200
    [pipeline] = stack.prefect.children(stack.run)
    states = {task["name"]: task["state_name"] for task in stack.prefect.tasks(pipeline)}
    assert states["evaluate_classifier"] == states["report"] == "Completed" and states["pretrain"] == "Cached"


def test_both_keep_what_they_know_in_postgres(stack):
    assert stack.ask("prefect", f"SELECT state_type::text FROM flow_run WHERE id = '{stack.run['id']}'") == [
        ("COMPLETED",)
    ]
    assert ("FINISHED",) in stack.ask("mlflow", "SELECT status FROM runs")


def test_models_are_in_the_artifact_store(stack):
    listed = httpx.get(f"{stack.s3}/mlflow").raise_for_status().text
    assert "model.safetensors" in listed


@pytest.mark.parametrize("name", ["mlflow", "prefect"])
def test_a_server_answers_to_the_names_it_has_in_the_stack_and_to_no_other(stack, name):
    asked = {
        "mlflow": f"{stack.mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0",
        "prefect": f"{stack.prefect.client.base_url}version",
    }
    port = SERVICES[name]["ports"][0].rpartition(":")[2]

    def status(host: str) -> int:
        return httpx.get(asked[name], headers={"Host": host}).status_code

    assert [status(f"{host}:{port}") for host in (name, "127.0.0.1", "localhost", "evil.example")] == [
        200,
        200,
        200,
        403,
    ]


def test_a_foreign_page_changes_nothing_in_the_stack(stack):
    for url, body in {f"{stack.mlflow}/api/2.0/mlflow/experiments/create": {"name": "x"},
                      f"{stack.mlflow}/ajax-api/2.0/mlflow/experiments/create": {"name": "x"},
                      f"{stack.prefect.client.base_url}flows/": {"name": "x"}}.items():  # fmt: skip
        for kind in ("application/json", "text/plain"):
            headers = {"Origin": "http://evil.example", "Content-Type": kind}
            assert httpx.post(url, headers=headers, content=json.dumps(body)).status_code == 403, url
