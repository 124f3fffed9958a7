"""Clones of the project, some of which have run before; what Prefect's API says of its runs; and a terminal to run commands in."""

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from gptmill.config import profiles

NOT_COPIED = shutil.ignore_patterns("mlartifacts", "mlflow.db*", ".mlflow.lock", ".git", "data_docs", "__pycache__")


@dataclass
class Clone:
    folder: Path
    environment: dict[str, str]

    def command(self, *arguments: str) -> dict:
        return {"args": [sys.executable, "-m", *arguments], "cwd": self.folder, "env": self.environment}

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess:
        environment = self.environment | settings
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=400
        )


@pytest.fixture(scope="session")
def clone(root, empty_database, tmp_path_factory) -> Callable[[], Clone]:
    """Clones: code, graph, profile mini, an empty MLflow, and no git yet, in an environment without the settings of who runs the tests."""

    def make() -> Clone:
        folder, home = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("home")
        for name in ("src", "pipelines", "profiles", "prompts", "data/sources"):
            shutil.copytree(root / name, folder / name, ignore=NOT_COPIED)
        (folder / ".dvc").mkdir()
        for name in ("dvc.yaml", "prefect.yaml", ".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
            shutil.copy(root / name, folder / name)
        shutil.copy(empty_database, folder)
        # Without what the keys mean, so that a test can look for a line as it is written.
        text = re.sub(r" +# .*$", "", profiles.text("mini", root), flags=re.MULTILINE)
        (folder / "params.yaml").write_text(text, encoding="utf-8")
        unset = ("GPTMILL_MIRROR", "MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME", "DVC_EXP_NAME")
        environment = {
            name: value for name, value in os.environ.items() if name not in unset and not name.startswith("GIT_")
        }
        environment |= {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]), "NO_COLOR": "1", "COLUMNS": "220",
            "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1", "GPTMILL_CACHE": str(home / "gptmill"),
            "DVC_GLOBAL_CONFIG_DIR": str(home), "DVC_SITE_CACHE_DIR": str(home / "dvc"),
            **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }  # fmt: skip
        return Clone(folder, environment)

    return make


@pytest.fixture(scope="session")
def settled(built, clone) -> Callable[..., Clone]:
    """`settled("report", ...)`: a clone in which everything is up to date but those stages, whose outputs DVC knows nothing of."""

    def make(*open_stages: str) -> Clone:
        from pipelines import graph

        project = clone()
        own = [path.name for path in project.folder.iterdir()]
        for command in (["init"], ["add", "."], ["commit", "-m", "start"]):
            assert project.run("git", *command).returncode == 0
        kept = {*own} - {"data"}  # a clone has data/sources alone
        shutil.copytree(
            built.folder,
            project.folder,
            ignore=lambda folder, names: {*NOT_COPIED(folder, names), *kept},
            dirs_exist_ok=True,
        )
        stages = [stage.name for stage in graph.read(str(project.folder)) if stage.name not in open_stages]
        done = project.run("dvc", "commit", "--force", *stages)
        assert done.returncode == 0, done.stderr
        return project

    return make


def make_prefect_home(folder: Path) -> None:
    command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
    subprocess.run(command, env=os.environ | {"PREFECT_HOME": str(folder)}, check=True, capture_output=True)


@pytest.fixture(scope="session")
def prefect_home(once) -> Path:
    """Prefect's folder with an empty database, to copy: building the tables takes long."""
    return once("prefect-home", make_prefect_home)


@pytest.fixture(scope="module")
def prefect_server(root, prefect_home, tmp_path_factory) -> Iterator[str]:
    """The address of the API of a Prefect server, one for a file's tests: it takes up time even when nobody asks it."""
    from gptmill.commands import servers

    folder = shutil.copytree(prefect_home, tmp_path_factory.mktemp("prefect"), dirs_exist_ok=True)
    server = servers.prefect(servers.free_port(), project=root)
    environment = os.environ | {"PREFECT_HOME": str(folder), "PREFECT_LOGGING_SERVER_LEVEL": "WARNING", "NO_COLOR": "1"}
    with servers.running(server, environment=environment, log=folder / "server.log"):
        yield server.settings["PREFECT_API_URL"]


class Api:
    """What a Prefect server tells of its runs."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url + "/", timeout=30)

    def __call__(self, what: str, **filters: object) -> list[dict]:
        return self.client.post(f"{what}/filter", json=filters).raise_for_status().json()

    def flow_runs(self, deployment: str) -> list[dict]:
        """Runs of that deployment, the first to be due first."""
        named = {"deployments": {"name": {"any_": [deployment]}}}
        return self("flow_runs", **named, sort="EXPECTED_START_TIME_ASC")

    def children(self, run: dict) -> list[dict]:
        """Flow runs that the tasks of this run started."""
        parents = [task["id"] for task in self.tasks(run)]
        return self("flow_runs", flow_runs={"parent_task_run_id": {"any_": parents}})

    def tasks(self, run: dict) -> list[dict]:
        return self("task_runs", flow_runs={"id": {"any_": [run["id"]]}})

    def start(self, deployment: str, worker: subprocess.Popen, **parameters: object) -> dict:
        """Have the deployment run once, as soon as the worker has made it known."""
        for _ in range(300):
            if (found := self.client.get(f"deployments/name/{deployment}")).is_success:
                asked = {"parameters": found.json()["parameters"] | parameters}
                return (
                    self.client.post(f"deployments/{found.json()['id']}/create_flow_run", json=asked)
                    .raise_for_status()
                    .json()
                )
            assert worker.poll() is None, "the worker has ended"
            time.sleep(0.2)
        raise AssertionError(f"there is no deployment {deployment}")

    def await_end(self, deployment: str, count: int = 1, patience: float = 120) -> list[dict]:
        """The first runs of the deployment that have ended, as soon as there are so many."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            ended = [
                run for run in self.flow_runs(deployment) if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED")
            ]
            if len(ended) >= count:
                return ended
            time.sleep(0.5)
        raise AssertionError(
            f"runs of {deployment} have not ended: {[run['state_name'] for run in self.flow_runs(deployment)]}"
        )


@pytest.fixture(scope="session")
def api() -> Callable[[str], Api]:
    return Api


SHELL = [
    "sh",
    "-mc",
    'trap : INT; "$@"; echo "[ended with $?]"',
    "sh",
]  # as at a prompt: a job has a process group of its own


class Terminal:
    """A terminal with a shell, in which a command runs in the foreground. A context manager: nothing that was started in it outlives it."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        pid, self._keys = pty.fork()
        if not pid:
            for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            os.chdir(folder)
            os.execvpe(SHELL[0], [*SHELL, *command], dict(environment))
        fcntl.ioctl(self._keys, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))  # or progress bars have no room
        self._shell, self._family, self._over = psutil.Process(pid), {}, threading.Event()
        self.printed = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        left = self.left()
        for process in [self._shell, *left]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs([self._shell], timeout=10)
        self._over.set()
        self._reader.join()
        if self._keys is not None:
            os.close(self._keys)

    def _read(self) -> None:
        while not self._over.is_set():
            try:
                if select.select([self._keys], [], [], 0.1)[0]:
                    self.printed += os.read(self._keys, 1 << 16).decode(errors="replace")
            except (OSError, TypeError, ValueError):  # the shell is no more, or the window is closed
                return

    def left(self) -> list[psutil.Process]:
        """Of all processes that were ever seen below the shell, and all that they started, those that still run."""
        for parent in [self._shell, *self._family.values()]:
            try:
                self._family |= {(child.pid, child.create_time()): child for child in parent.children(recursive=True)}
            except psutil.NoSuchProcess:
                continue
        return [process for process in self._family.values() if _runs(process)]

    def await_(self, condition: Callable[[], object], patience: float = 120) -> float:
        """Wait until it holds; the seconds that it took."""
        started = time.monotonic()
        while not condition():
            assert time.monotonic() - started < patience, (
                f"{self.printed}\n{[shown(process) for process in self.left()]}"
            )
            time.sleep(0.05)
        return time.monotonic() - started

    def await_process(self, *words: str) -> psutil.Process:
        """The first process with these words in its command line, the topmost."""
        found: list[psutil.Process] = []

        def there() -> bool:
            assert self.code is None, self.printed
            found[:] = [process for process in self.left() if all(word in shown(process).split() for word in words)]
            return bool(found)

        self.await_(there)
        return min(found, key=lambda process: process.create_time())

    @property
    def job(self) -> psutil.Process:
        """The command itself."""
        self.await_(self._shell.children)
        return self._shell.children()[0]

    @property
    def code(self) -> int | None:
        """The exit code, as a shell has it."""
        found = re.search(r"\[ended with (\d+)\]", self.printed)
        return int(found[1]) if found else None

    def press_ctrl_c(self) -> None:
        os.write(self._keys, b"\x03")

    def close_window(self) -> None:
        self._over.set()
        self._reader.join()
        os.close(self._keys)
        self._keys = None


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def shown(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@pytest.fixture
def terminal() -> Callable[..., Terminal]:
    """`with terminal(clone, "dvc", "repro", PREFECT_API_URL=url) as at:`"""

    def start(clone: Clone, *command: str, **settings: str) -> Terminal:
        return Terminal(list(command), clone.folder, clone.environment | settings)

    return start
