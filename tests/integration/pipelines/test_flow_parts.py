"""What the flow is made of: its parameters, what dvc.yaml says of the stages, and processes that do not outlive it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest
from prefect.logging import disable_run_logger
from prefect.states import Cancelled, Completed, Failed

from gptmill import config
from gptmill.commands import watchdog
from gptmill.config import profiles
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from pipelines import api, flow, graph, summary, workspace
from pipelines.overrides import params_text
from pipelines.processes import Processes, Stopped
from pipelines.workspace import Workspace

# --- parameters ---


def test_overrides_change_their_keys_and_no_other_byte(project):
    before = (project / "params.yaml").read_text()
    text = params_text(
        project, None, ["base.epochs=7", "classifier.lora.target_modules=[qkv]", "data.corpus.licence='a: b'"]
    )
    changed = [(a, b) for a, b in zip(before.splitlines(), text.splitlines(), strict=True) if a != b]
    assert [b.partition("  #")[0].strip() for _, b in changed] == [
        "licence: 'a: b'",
        "epochs: 7",
        "target_modules: [qkv]",
    ]
    assert (project / "params.yaml").read_text() == before


def test_what_stands_in_a_list_can_be_overridden_and_every_override_can_be_read_again(project):
    model = config.load().judge.models[0].model_dump() | {"base_url": "http://x"}
    given = ", ".join(f"{key}: {value if key == 'base_url' else json.dumps(value)}" for key, value in model.items())
    text = params_text(
        project, None, [f"judge.models=[{{{given}}}]", "judge.models.0.base_url=http://127.0.0.1:1234/v1"]
    )
    files.write_text(project / "params.yaml", text)
    assert config.load().judge.models[0].base_url == "http://127.0.0.1:1234/v1"


def test_a_profile_takes_the_place_of_params_yaml(project):
    assert params_text(project, "sample", []) == profiles.text("sample", project)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (dict(targets=["pretrian"]), "no stage pretrian; did you mean pretrain"),
        (dict(profile="nosuch"), "unknown profile nosuch"),
        (dict(overrides=["base.epochz=3"]), "base.epochz=3.*Did you mean base.epochs"),
        (dict(overrides=["base=3"]), "base=3 overrides nothing"),
        (dict(overrides=["judge.models.9.model=x"]), "judge.models.9.model=x overrides nothing"),
        (dict(overrides=["base.epochs"]), "base.epochs overrides nothing"),
        (dict(overrides=["base.epochs=many"]), "base.epochs: 'many' is not allowed"),
        (dict(overrides=["base.epochs=[3"]), "not readable YAML"),
    ],
)
def test_what_is_wrong_with_the_flows_parameters_is_named_before_anything_starts(project, given, named):
    (project / ".dvc").mkdir()
    (project / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    with pytest.raises(GptmillError, match=f"(?s){named}"):
        flow.check_arguments(project, **{"targets": None, "profile": None, "overrides": None, **given})


# --- a copy ---


def test_a_copy_has_the_bytes_of_every_change_however_git_is_set_to_show_them(project, monkeypatch):
    settings = {
        "diff.noprefix": "true", "diff.context": "0", "color.diff": "always", "diff.external": "false", "diff.shout.textconv": "cat; echo"
    }  # fmt: skip
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for i, (key, value) in enumerate(settings.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{i}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{i}", value)
    before = {
        "windows.txt": b"one\r\ntwo\r\nthree\n",
        "latin.txt": b"caf\xe9\n",
        "shouted.txt": b"a\n",
        ".gitattributes": b"sh* diff=shout\n",
    }
    after = before | {"windows.txt": b"one\r\n2\r\nthree\n", "latin.txt": b"th\xe9\r\n", "shouted.txt": b"b\n"}
    for name, content in before.items():
        (project / name).write_bytes(content)
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for command in (
        ["git", "init", "-q"],
        ["dvc", "init", "-q"],
        ["git", "add", "."],
        ["git", *who, "commit", "-q", "-m", "start"],
    ):
        subprocess.run(command, cwd=project, check=True)
    for name, content in after.items():
        (project / name).write_bytes(content)
    with workspace.copy(project, (project / "params.yaml").read_text(), "", Processes(), print) as copy:
        assert {name: (copy.folder / name).read_bytes() for name in after} == after


def test_a_run_that_stopped_is_found_again_though_others_ran_meanwhile(project):
    lock = "schema: '2.0'\nstages: {}\n"
    for name in ("dvc.lock", "metrics/base.json", "code.py"):
        files.write_text(project / name, lock if name == "dvc.lock" else "old\n")
    who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    for command in (
        ["git", "init", "-q"],
        ["dvc", "init", "-q"],
        ["git", "add", "."],
        ["git", *who, "commit", "-q", "-m", "start"],
    ):
        subprocess.run(command, cwd=project, check=True)
    text, folders = params_text(project, None, ["base.epochs=7"]), []
    for name in (None, "dvc.lock", "metrics/base.json", "params.yaml", "code.py"):
        if name:
            files.write_text(project / name, lock + "# new\n" if name == "dvc.lock" else "# new\n")
        with workspace.copy(project, text, "", Processes(), print) as copy:
            folders.append(copy.folder)
    assert len(set(folders[:-1])) == 1 and folders[-1] != folders[0]


def test_what_was_decided_about_models_outlives_the_copy(tmp_path):
    copy = Workspace(tmp_path / "copy", tmp_path, "an-experiment")
    for folder, name in ((copy.root, "base"), (copy.root, "instruct"), (copy.folder, "base")):
        files.write_json(folder / paths.PROMOTIONS / f"{name}.json", {"folder": folder.name})
    copy.keep_reports()
    copy.remove()
    decided = {path.stem: files.read_json(path)["folder"] for path in (tmp_path / paths.PROMOTIONS).iterdir()}
    assert decided == {"base": "copy", "instruct": tmp_path.name}


def test_an_experiment_that_is_cancelled_while_it_is_saved_is_no_failure(tmp_path):
    running = Processes()
    running.stop("enough")
    with pytest.raises(Stopped, match="enough"):
        Workspace(tmp_path, tmp_path, "an-experiment", "0" * 40).save([], running, os.environ, print)


def test_make_clean_removes_what_runs_made_and_no_imported_model(tmp_path, root):
    for name in ("base", "mine"):
        files.write_text(tmp_path / "models" / name / "config.json", "{}")
    copies = tmp_path / workspace.COPIES
    for name in ("gptmill-0a1b2c3d/.dvc", "gptmill-0a1b2c3d.part", "somebody-elses"):
        (copies / name).mkdir(parents=True)
    own = [tmp_path / "data" / name for name in ("raw/own.csv", "raw/mine/a.csv", "sources/spam/a.csv")]
    for path in (*own, tmp_path / paths.raw_file("spam", "spam.tsv"), tmp_path / paths.source_record("spam")):
        files.write_text(path, "x")
    subprocess.run(["make", "--silent", "--file", root / "Makefile", "clean"], cwd=tmp_path, check=True)
    assert sorted(path for path in (tmp_path / "data").rglob("*") if path.is_file()) == sorted(own)
    assert [path.name for path in copies.iterdir()] == ["somebody-elses"]
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["mine"]


# --- what dvc.yaml says ---


@pytest.fixture(scope="module")
def stages(root) -> dict[str, graph.Stage]:
    return {stage.name: stage for stage in graph.read(str(root))}


def test_a_target_brings_all_that_it_depends_on_in_order(stages):
    names = [stage.name for stage in graph.select(stages.values(), ["tokenize"])]
    assert names == [
        "download@corpus",
        "download@instructions",
        "download@spam",
        "download_base",
        "validate",
        "tokenize",
    ]
    assert [stage.name for stage in graph.select(stages.values(), ["download"])] == names[:3]
    assert len(graph.select(stages.values(), [])) == len(stages)


def test_stages_that_can_ask_the_network_say_so_and_no_other(root, stages):
    from ruamel.yaml import YAML

    written = YAML(typ="safe").load(root / "dvc.yaml")["stages"]
    with_code = {name for name, stage in written.items() if "src/gptmill/net" in stage.get("do", stage)["deps"]}
    assert with_code == {name.partition("@")[0] for name, stage in stages.items() if stage.network_unless is not None}


def test_only_what_asks_the_network_with_these_parameters_is_tried_again(root, stages):
    asking = {
        profile: {name for name, stage in stages.items() if stage.uses_network(profiles.load(profile, root))}
        for profile in ("sample", "book")
    }
    assert asking["sample"] == set()
    assert asking["book"] == {"download@corpus", "download@spam", "download@instructions", "download_base"}


# --- processes ---

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('there', flush=True); time.sleep(60)"
)


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(pid: int) -> bool:
    """Whether it is now, or soon: who is killed does not die at once."""
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


@pytest.fixture
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(watchdog, "GRACE", 0.3)


def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path, impatient):
    said: list[str] = []
    command = ["sh", "-c", f'{sys.executable} -c "{STUBBORN}" & echo $!; wait']
    with Processes() as running:
        ended = running.run(command, tmp_path, os.environ, said.append, seconds=1.0)
    assert ended.timed_out and ended.code != 0
    assert not alive(int(next(line for line in said if line.isdigit())))


def test_an_end_is_asked_for_before_it_is_forced(tmp_path):
    asked = "import time\ntry:\n    print('there', flush=True); time.sleep(60)\nexcept KeyboardInterrupt:\n    print('in good order')"
    said: list[str] = []
    with Processes() as running:
        thread = threading.Thread(
            target=running.run, args=[[sys.executable, "-c", asked], tmp_path, os.environ, said.append]
        )
        thread.start()
        while not said:
            time.sleep(0.02)
        running.stop("enough")
        thread.join()
        assert said == ["there", "in good order"]
        assert running.run(["touch", "made"], tmp_path, os.environ, said.append).stopped
    assert not (tmp_path / "made").exists()


def test_what_a_stage_leaves_behind_is_ended_with_it(tmp_path, impatient):
    said: list[str] = []
    with Processes() as running:
        ended = running.run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], tmp_path, os.environ, said.append)
        assert ended.code == 0 and gone(int(said[0]))


def test_a_pause_ends_when_all_are_stopped():
    running = Processes()
    thread = threading.Thread(target=running.sleep, args=[60], daemon=True)
    thread.start()
    running.stop("enough")
    thread.join(timeout=30)
    assert not thread.is_alive()


AWAY = Failed(name=flow.UNAVAILABLE)


@pytest.mark.parametrize(
    ("states", "paused"),
    [
        ([AWAY, AWAY, Completed()], [1, 2]),
        ([AWAY, AWAY, AWAY], [1, 2]),
        ([AWAY, Cancelled()], [1]),
        ([AWAY, Failed()], [1]),
        ([Failed()], []),  # a wrong checksum is wrong again
        ([Failed(name="TimedOut")], []),  # it would take as long again
        ([Completed()], []),
    ],
)
def test_a_stage_is_tried_again_after_each_pause_when_what_it_asked_did_not_answer(
    tmp_path, monkeypatch, states, paused
):
    left, took = list(states), []
    monkeypatch.setattr(flow.PipelineRun, "_run_stage", lambda *_: left.pop(0))
    running = Processes()
    monkeypatch.setattr(running, "sleep", took.append)
    with disable_run_logger():
        ended = flow.PipelineRun(Workspace(tmp_path, tmp_path), running, force=False)._run_with_retries(None, [1, 2])
    assert (ended, left, took) == (states[-1], [], paused)


def test_when_the_flow_is_killed_its_stages_end_too(tmp_path, root):
    starts = "import os, sys\nfrom pathlib import Path\nfrom pipelines.processes import Processes\n"
    starts += "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background\n"
    starts += "with Processes() as running:\n    running.run(['sh', '-c', 'echo $$; exec sleep 60'], Path('.'), os.environ, print)"
    parent = subprocess.Popen([sys.executable, "-u", "-c", starts], cwd=root, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    assert alive(child)
    ignored = next(
        line for line in Path(f"/proc/{child}/status").read_text().splitlines() if line.startswith("SigIgn")
    ).split()[1]
    assert not int(ignored, 16) & 1 << signal.SIGINT - 1
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert gone(child)


@pytest.mark.parametrize(
    ("printed", "why"),
    [
        (["error: the file is gone", "ValueError: x", "ERROR: failed to reproduce 'a'"], "error: the file is gone"),
        (
            ["Traceback (most recent call last):", "ValueError: x", "ERROR: failed to reproduce 'a': exited with 1"],
            "ValueError: x",
        ),
        (
            ["ERROR: failed to run: gptmill stage a, exited with -9"],
            "it was killed; the machine may have run out of memory",
        ),
        (["ERROR: 'a' has no command"], "ERROR: 'a' has no command"),
        ([], ""),
    ],
)
def test_a_failed_stage_says_why_in_one_line(printed, why):
    assert summary.failure_reason(printed).endswith(why)


# --- Prefect is one of several ways ---


def test_no_stage_needs_prefect(root):
    imports = "import sys; sys.modules['prefect'] = None; import gptmill.cli, gptmill.stages as s, importlib, pkgutil\n"
    imports += "for m in pkgutil.iter_modules(s.__path__): importlib.import_module(f'gptmill.stages.{m.name}')"
    environment = os.environ | {"PYTHONPATH": str(root / "src"), "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    done = subprocess.run([sys.executable, "-c", imports], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_server_that_is_no_prefect_is_said_to_be_none(monkeypatch):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:  # it knows no method: 501
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            with (
                temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{server.server_port}"}),
                pytest.raises(GptmillError, match=r"no Prefect server answers at .*501.*ends in /api"),
            ):
                api.require_server()
        finally:
            server.shutdown()


def test_a_server_that_is_not_there_is_said_before_anything_starts_and_without_its_password(project: Path, root):
    secret = {"PREFECT_API_URL": "http://me:s3cret@127.0.0.1:9/api?token=s3cret"}
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}:{root}"} | secret
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.flow"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert (
        "no Prefect server answers at PREFECT_API_URL=http://127.0.0.1:9/api" in done.stderr
        and "Traceback" not in done.stderr
    )
    assert "s3cret" not in done.stdout + done.stderr


BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))


def test_a_bomb_ends_the_flow_before_dvc_reads_it(project: Path, root):
    (project / "params.yaml").write_text(BOMB)
    environment = os.environ | {"PYTHONPATH": f"{root / 'src'}:{root}"}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.flow"],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1 and "params.yaml is not readable YAML" in done.stderr and "aliases" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("value", ["[" * 1000, "9" * 5000, "&a [*a]"])
def test_an_override_that_can_not_be_read_is_named(project: Path, value):
    with pytest.raises(GptmillError, match="^seed=.*: the value is not readable YAML"):
        params_text(project, None, [f"seed={value}"])


@pytest.mark.parametrize(
    ("text", "said"), [(BOMB, "aliases"), ("7", "has no valid list of deployments"), ("deployments: [{}]", "'name'")]
)
def test_a_plan_of_deployments_that_can_not_be_read_is_named(tmp_path, text, said):
    from pipelines import deployments

    (tmp_path / "prefect.yaml").write_text(text)
    with pytest.raises(GptmillError, match=said):
        list(deployments.load(tmp_path / "prefect.yaml"))
