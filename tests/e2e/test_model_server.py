"""MLflow's own model server, started as a person starts it, answers over HTTP what `gptmill` answers."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from gptmill import config
from gptmill.core import paths
from gptmill.registry.promote import promote

TEXTS = ["WINNER!! Claim your prize now", "see you at seven", "Naïve 猫 <b>£5</b>"]


@pytest.fixture(scope="module")
def champion(built, tmp_path_factory):
    """Where `mlflow models serve -m models:/gptmill-classifier@champion` answers, in a process far from the project."""
    folder = tmp_path_factory.mktemp("served")
    store = f"sqlite:///{folder}/mlflow.db"
    shutil.copy(built.folder / "mlflow.db", folder)
    left_out = shutil.ignore_patterns("mlartifacts", "mlflow.db*", ".git", "data_docs")
    project = shutil.copytree(built.folder, folder / "project", ignore=left_out)  # MLflow makes a folder where it works
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        patch.setenv("MLFLOW_TRACKING_URI", store)
        patch.delenv("PYTHONPATH", raising=False)
        [outcome] = promote(config.load(), ["classifier"])
        assert outcome.decision.verdict == "promoted"
        patch.chdir(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        serve = [
            "-m",
            "mlflow",
            "models",
            "serve",
            "-m",
            "models:/gptmill-classifier@champion",
            "--env-manager",
            "local",
        ]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [sys.executable, *serve, "--host", "127.0.0.1", "--port", str(port)],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
    try:
        for _ in range(600):
            assert server.poll() is None, (folder / "log").read_text()
            try:
                if httpx.get(f"http://127.0.0.1:{port}/ping", timeout=1).status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, signal.SIGTERM)  # its workers too
        server.wait(timeout=30)


def test_the_served_champion_answers_as_gptmill_classify_does(champion, in_built):
    answer = httpx.post(
        champion, json={"dataframe_split": {"columns": ["text"], "data": [[text] for text in TEXTS]}}, timeout=30
    )
    assert answer.status_code == 200, answer.text
    rows = answer.json()["predictions"]
    assert len(rows) == len(TEXTS)
    for row in rows:
        assert set(row["probabilities"]) == {"ham", "spam"} and row["probability"] == max(row["probabilities"].values())
    said = subprocess.run(["gptmill", "classify", TEXTS[0]], capture_output=True, text=True, check=True).stdout
    label, percent = re.fullmatch(r"(\w+) \(([\d.]+)%\)\n", said).groups()
    assert rows[0]["label"] == label and rows[0]["probability"] * 100 == pytest.approx(float(percent), abs=0.06)
    from gptmill.inference.models import TextClassifier

    assert [(row["label"], row["probability"]) for row in rows] == [
        (label, pytest.approx(sure, abs=1e-4)) for label, sure in TextClassifier(paths.CLASSIFIER_MODEL).classify(TEXTS)
    ]


def test_the_server_refuses_what_the_signature_does_not_allow(champion):
    answer = httpx.post(champion, json={"dataframe_split": {"columns": ["message"], "data": [["hi"]]}}, timeout=30)
    assert answer.status_code == 400 and "text" in answer.text
