"""What several tests share: a project in a temporary folder, one run of the whole graph, tiny models, and servers on 127.0.0.1."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from gptmill.config import schema

if TYPE_CHECKING:
    from gptmill.model.gpt import GPT
    from gptmill.text.tokenizer import Tokenizer

# Before torch and the tools are imported: tiny models are fastest on one thread, and no test may ask the network.
os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "MPLBACKEND": "agg"}

import hypothesis
import pytest
from filelock import FileLock

from gptmill import config
from gptmill.config import profiles

ROOT = Path(__file__).parents[1]

hypothesis.settings.register_profile("quiet", deadline=None, max_examples=60, derandomize=True, database=None)
hypothesis.settings.load_profile("quiet")

TEXT = (
    "Once upon a time there was a miller who had a mill, a cat and three sons. The cat said: “I shall win £100!” "
    "It's 7 o'clock; they'd better go.\n\nNaïve 猫 🐈 in the mill, the miller in the mill, and the cat in the mill.\n"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--make-losses", action="store_true", help="write tests/assets/losses.json anew instead of comparing with it"
    )


KINDS = ("e2e", "integration", "unit")  # the folders of tests; the slowest kind runs first


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files go to the processes of pytest-xdist in this order."""
    items.sort(key=lambda item: KINDS.index(item.path.relative_to(ROOT / "tests").parts[0]))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def once(tmp_path_factory, worker_id) -> Callable[[str, Callable[[Path], None]], Path]:
    """`once("built", make)`: a folder that `make(folder)` fills once for all processes of pytest-xdist; tests only read it."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent  # where pytest-xdist makes a folder for each of its processes

    def folder(name: str, make: Callable[[Path], None]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that failed
                folder.mkdir()
                make(folder)
                done.touch()
        return folder

    return folder


@pytest.fixture(autouse=True)
def own_world(tmp_path_factory, monkeypatch) -> None:
    """No setting of the person who runs the tests plays a part, and nothing is written to where their tools keep things."""
    own = ("GPTMILL_MIRROR", "GPTMILL_ALLOW_PRIVATE_REDIRECTS", "GPTMILL_RUN")
    for name in (*own, "MLFLOW_TRACKING_URI", "PREFECT_API_URL", "DVC_EXP_NAME", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path_factory.getbasetemp() / "home"
    monkeypatch.setenv("GPTMILL_CACHE", str(home / "gptmill"))
    monkeypatch.setenv("PREFECT_HOME", str(home / "prefect"))
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))


def without_comments(text: str) -> str:
    """A params.yaml that a test can edit as text: each key right below the one before it."""
    return re.sub(r"^ *#.*\n|^\n| +# .*$", "", text, flags=re.MULTILINE)


def lay_out(folder: Path) -> Path:
    """What a project has before its first run, with profile mini as its params.yaml."""
    for name in ("profiles", "prompts", "data/sources"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "dvc.yaml", folder)
    (folder / "params.yaml").write_text(without_comments(profiles.text("mini", ROOT)), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def laid_out(once) -> Path:
    """A project before its first run, to copy."""
    return once("laid-out", lay_out)


@pytest.fixture
def project(laid_out, tmp_path, monkeypatch) -> Path:
    """A project of its own as the working folder."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(laid_out, tmp_path, dirs_exist_ok=True)


@dataclass
class Built:
    """A project in which every stage has run, and which keys of params.yaml each stage read."""

    folder: Path
    read: dict[str, set[str]]


def run_all_stages(folder: Path) -> None:
    """The whole graph on profile mini, in this process: folder/project, and in read.json what each stage read of its params."""
    from gptmill.commands import stage
    from pipelines import graph
    from tools.deps import recorded_reads

    read_of, folder = folder / "read.json", lay_out(folder / "project")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], cwd=folder, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "empty"], cwd=folder, check=True)
    (folder / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc/config", folder / ".dvc")
    read: dict[str, set[str]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        values = config.load()
        for address in [stage.name for stage in graph.read(str(ROOT))]:
            name, _, item = address.partition("@")
            with recorded_reads(values) as read[address]:
                stage.run(name, item or None, values)
    read_of.write_text(json.dumps({address: sorted(keys) for address, keys in read.items()}))


@pytest.fixture(scope="session")
def built(once) -> Built:
    """One run of the whole graph for all tests, which change nothing in it."""
    folder = once("built", run_all_stages)
    read = json.loads((folder / "read.json").read_text())
    return Built(folder / "project", {address: set(keys) for address, keys in read.items()})


@pytest.fixture(scope="session")
def without_mlflow(tmp_path_factory) -> str:
    """A folder for PYTHONPATH, with which a process finds no MLflow: it takes seconds to load."""
    folder = tmp_path_factory.mktemp("without-mlflow")
    (folder / "mlflow.py").write_text("raise ImportError('not in this test')\n")
    return str(folder)


@pytest.fixture
def in_built(built, monkeypatch) -> Built:
    """The project that was run, as the working folder."""
    monkeypatch.chdir(built.folder)
    return built


@pytest.fixture
def copy_of_built(built, tmp_path, monkeypatch) -> Path:
    """A copy of the project that was run, to be changed, as the working folder. Its runs go to no MLflow."""
    shutil.copytree(
        built.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("mlartifacts", "mlflow.db*", ".git", "data_docs")
    )
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    return tmp_path / "copy"


@pytest.fixture(scope="session")
def empty_database(once) -> Path:
    """MLflow's tables, with nothing in them: building them takes long."""

    def make(folder: Path) -> None:
        from mlflow import MlflowClient

        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()

    return once("empty-store", make) / "mlflow.db"


@pytest.fixture(scope="session")
def tokenizer() -> "Tokenizer":
    """A tokenizer with some merges, and with bytes for everything else."""
    from gptmill.text.tokenizer import Tokenizer

    return Tokenizer.train([TEXT] * 4, 300)


@pytest.fixture
def make_gpt() -> Callable[..., "GPT"]:
    """`make_gpt(seed=0, n_layers=2, …)`: tiny models in evaluation mode, with weights so large that no two logits are nearly the same."""
    import torch

    from gptmill.model.gpt import GPT, GPTConfig

    def make(seed: int = 0, **changes: object) -> GPT:
        settings = {"vocab_size": 40, "context_length": 16, "n_layers": 2, "n_heads": 2, "d_model": 16} | changes
        torch.manual_seed(seed)
        model = GPT(GPTConfig(**settings))
        with torch.no_grad():
            for weight in model.parameters():
                weight.normal_(std=0.4)
        return model.eval()

    return make


@pytest.fixture
def cpu():
    """The CPU in float32."""
    import torch

    from gptmill.runtime.device import Runtime

    return Runtime(torch.device("cpu"), bf16=False)


@pytest.fixture
def training() -> Callable[..., schema.TrainingParams]:
    """Training parameters with defaults that suit a tiny task: `training(epochs=3)`."""

    def make(**changes: object) -> schema.TrainingParams:
        defaults = dict(
            optimizer="adamw", epochs=2, batch_size=4, micro_batch_size=0, learning_rate=0.01, warmup_steps=2
        )
        defaults |= dict(
            min_learning_rate=0.001, weight_decay=0.1, gradient_clip=1.0, evaluations=4, patience=0, keep="best"
        )
        return schema.TrainingParams(**(defaults | changes))

    return make


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


@pytest.fixture
def serve() -> Iterator[Callable]:
    """Real servers: `serve(answer)`, where `answer(request)` gives (status, headers, body), returns .url and .requests."""
    servers = []

    def start(answer: Callable[[Request], tuple[int, dict[str, str], bytes]]) -> SimpleNamespace:
        requests: list[Request] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, self.rfile.read(length))
                requests.append(request)
                status, headers, body = answer(request)
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                """Stay quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}", requests=requests)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Chromium, for `browser.new_page(viewport={"width": 390, "height": 844})`.

    One for each module of tests, and no longer: while playwright runs, asyncio finds a loop that runs already, and `asyncio.run` fails.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM:
        pytest.skip("no Chromium is here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """Retries do not wait; the list says how long they would have."""
    waited: list[float] = []
    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=waited.append))
    return waited
