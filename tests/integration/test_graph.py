"""The graph in dvc.yaml is true: it names the code that each stage imports, the parameters that it reads, and the paths that there are."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gptmill import config
from gptmill.core import paths
from tools import deps
from tools.deps import closure, imported

SRC = Path(__file__).parents[2] / "src"
PACKAGE = SRC / "gptmill"
MADE = ("data/", "models/", "metrics/", "plots/", "reports/")


def _stages() -> list[str]:
    written = YAML(typ="safe").load((SRC.parent / "dvc.yaml").read_text())["stages"]
    return [
        one
        for name, stage in written.items()
        for one in ([f"{name}@{item}" for item in stage["foreach"]] if "do" in stage else [name])
    ]


ORDER = _stages()


def read_beside(files: set[Path]) -> set[Path]:
    """Files that are no Python, next to a module or a template that names them: templates, style sheets."""
    found: set[Path] = set()
    todo = list(files)
    while todo:
        file = todo.pop()
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".py":
            nodes = ast.walk(ast.parse(text))
            text = "\n".join(
                node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
            )
        for beside in file.parent.iterdir():
            if (
                beside.is_file()
                and beside.suffix not in (".py", ".pyc")
                and beside.name in text
                and beside not in found
            ):
                found.add(beside)
                todo.append(beside)
    return found


# --- what dvc.yaml says ---


@pytest.fixture(scope="module")
def stages(tmp_path_factory) -> dict:
    """dvc.yaml's stages as DVC understands them: name -> deps, params and outs."""
    import shutil

    from dvc.repo import Repo

    folder = tmp_path_factory.mktemp("graph")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(SRC.parent / name, folder)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    with Repo(str(folder)) as repo:
        return {
            stage.name: {
                "deps": {dep.def_path for dep in stage.deps if not hasattr(dep, "params")},
                "params": {key for dep in stage.deps if hasattr(dep, "params") for key in dep.params},
                "outs": {out.def_path for out in stage.outs},
                "cmd": stage.cmd,
            }
            for stage in repo.index.stages
        }


def covers(dep: str, file: str) -> bool:
    return file == dep or file.startswith(f"{dep}/")


TRAINING_FOLDERS = ["core", "model", "runtime", "text", "training"]


@pytest.mark.parametrize("stage", ORDER)
def test_everything_that_a_stage_imports_lies_in_what_it_declares(stages, stage):
    files = {
        file
        for file in closure(PACKAGE / "stages" / f"{stage.partition('@')[0]}.py")
        if not file.is_relative_to(deps.NO_DEPENDENCY)
    }
    needed = {str(file.relative_to(SRC.parent)) for file in files | read_beside(files)}
    declared = {dep for dep in stages[stage]["deps"] if dep.startswith("src/")}
    assert {file for file in needed if not any(covers(dep, file) for dep in declared)} == set(), (
        "imported, but not declared"
    )
    assert {dep for dep in declared if not any(covers(dep, file) for file in needed)} == set(), (
        "declared, but not imported"
    )
    assert declared == set(deps.code(stage)), "make deps writes them"


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_declares_its_own_file_and_at_most_seven_folders_of_code(stages, stage):
    own = f"src/gptmill/stages/{stage.partition('@')[0]}.py"
    folders = sorted(Path(dep).name for dep in stages[stage]["deps"] if dep.startswith("src/") and dep != own)
    assert own in stages[stage]["deps"] and len(folders) <= 7
    assert all((PACKAGE / folder).is_dir() for folder in folders)
    if stage in ("pretrain", "finetune_classifier", "finetune_instruct"):
        assert folders == TRAINING_FOLDERS


def test_a_training_depends_on_no_test_split_and_no_report(stages):
    for stage in ("pretrain", "finetune_classifier", "finetune_instruct"):
        assert {
            dep for dep in stages[stage]["deps"] if dep.startswith(("reports", "metrics", "plots")) or "test" in dep
        } == set()
        assert stages[stage]["deps"].isdisjoint({"data/spam", "data/instructions"})


@pytest.mark.parametrize("stage", ORDER)
def test_each_stage_declares_the_params_that_it_reads_and_no_other(stages, built, stage):
    assert deps.undeclared(built.read[stage], stages[stage]["params"]) == set(), "read, but not declared: make deps"
    assert deps.unread(built.read[stage], stages[stage]["params"]) == set(), "declared, but not read: make deps"


def test_every_declared_param_is_one_of_params_yaml(stages, root):
    known = [key for key, _, _ in config.describe(config.load(root / "params.yaml"))]
    for stage in stages.values():
        for declared in stage["params"]:
            assert any(key == declared or key.startswith(f"{declared}.") for key in known), declared


def test_every_param_of_a_stage_is_declared_by_some_stage(stages, root):
    declared = set().union(*(stage["params"] for stage in stages.values()))
    unused = {
        key
        for key, _, _ in config.describe(config.load(root / "params.yaml"))
        if not any(key == d or key.startswith(f"{d}.") for d in declared)
        and not key.startswith("promotion.")  # promoting changes the registry: it is no stage
        and key != "compute.checkpoint_minutes"
    }
    assert unused == set()


def test_what_a_stage_reads_is_made_by_another_one(stages):
    outs = set().union(*(stage["outs"] for stage in stages.values()))
    for name, stage in stages.items():
        for dep in stage["deps"]:
            if dep.startswith(MADE) and not covers(str(paths.SOURCES), dep):
                assert any(covers(out, dep) for out in outs - stage["outs"]), (
                    f"{name} reads {dep}, which no stage makes"
                )
            else:
                assert (SRC.parent / dep).exists(), f"{name} reads {dep}, which is not here"


def test_no_path_and_no_command_comes_from_a_parameter(root):
    """DVC removes outputs before a stage runs, wherever they are, and hands commands to a shell: `${…}` stands for items of the graph."""
    graph = YAML(typ="safe").load((root / "dvc.yaml").read_text())
    assert set(graph) == {"stages"}  # no `vars`, whose files are parameters too
    templates = set(re.findall(r"\$\{([^}]*)\}", (root / "dvc.yaml").read_text()))
    assert templates == {"key", "item.size"}
    items = graph["stages"]["download"]["foreach"]
    assert items.keys() == set(paths.DATA_SETS) and not re.search(r"\$", str(items))


def test_every_output_is_known_as_a_place_where_no_source_can_be(stages):
    outs = set().union(*(stage["outs"] for stage in stages.values()))
    assert {out for out in outs if not any(covers(str(place), out) for place in paths.OUTPUTS)} == set()


def test_no_two_stages_write_the_same(stages):
    outs = [out for stage in stages.values() for out in stage["outs"]]
    assert len(outs) == len(set(outs))
    assert [(a, b) for a in outs for b in outs if a != b and covers(a, b)] == []


def test_paths_and_graph_name_the_same_places(stages):
    outs = set().union(*(stage["outs"] for stage in stages.values()))
    known = {
        str(path)
        for path in vars(paths).values()
        if isinstance(path, Path) and str(path).startswith(tuple(part.rstrip("/") for part in MADE))
    }
    # Data Docs hold times; the others tell of what is outside the graph. No output that is tracked.
    known -= {str(path) for path in (paths.DATA_DOCS, paths.EXTENDED_REPORT, paths.AGREEMENT)}
    known -= {str(paths.SOURCES)}  # what users add
    for path in known:
        assert any(covers(out, path) or covers(path, out) for out in outs), f"paths names {path}, which no stage writes"
    for out in outs:
        assert any(covers(path, out) for path in known), f"a stage writes {out}, of which paths knows nothing"


def test_every_stage_has_a_file_and_every_file_is_a_stage(stages):
    files = {path.stem for path in (PACKAGE / "stages").glob("*.py")} - {"__init__"}
    assert {name.partition("@")[0] for name in stages} == files
    for name, stage in stages.items():
        assert stage["cmd"] == f"gptmill stage {name.replace('@', ' ')}"


def test_metrics_and_plots_are_declared(stages, root):
    graph = YAML(typ="safe").load((root / "dvc.yaml").read_text())["stages"]
    for name in stages:
        stage = graph[name.partition("@")[0]]
        outs = (stage.get("do") or stage).get("outs", [])
        assert not [out for out in outs if str(out).startswith(("metrics/", "plots/"))], name


def test_the_graph_is_read_with_all_its_stages_each_after_what_it_needs(root):
    from pipelines import graph

    read = graph.read(str(root))
    assert sorted(stage.name for stage in read) == sorted(ORDER)
    places = {stage.name: place for place, stage in enumerate(read)}
    assert all(places[name] < places[stage.name] for stage in read for name in stage.upstream)
    upstream = {stage.name: set(stage.upstream) for stage in read}
    assert upstream["download@spam"] == set()
    assert upstream["validate"] == {"download@corpus", "download@spam", "download@instructions"}
    assert upstream["finetune_classifier"] == {"pretrain", "split_spam", "tokenize", "download@spam"}
    assert upstream["evaluate_classifier"] == {"finetune_classifier", "split_spam"}
    assert {"validate", "split_spam", "split_instructions", "tokenize"} <= upstream[
        "data_cards"
    ] and "pretrain" not in upstream["data_cards"]
    assert upstream["generate_responses"] == {"pretrain", "finetune_instruct", "split_instructions"}
    assert all(stage.description for stage in read)
    assert [stage.name for stage in graph.read(str(root))] == [stage.name for stage in read]


# --- who may import whom: the floors are in pyproject.toml, for import-linter ---

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


MLFLOW = {f"tracking/{name}.py" for name in ("system_metrics", "parent_runs", "replay", "mlflow_client")}
REGISTRY = {
    f"registry/{name}.py" for name in ("champion_lock", "log_model", "pyfunc", "promote", "provenance", "versions")
}


@pytest.mark.parametrize(("tool", "allowed"), [
    ("mlflow", {*MLFLOW, *REGISTRY}),
    ("great_expectations", {"data/validation/quarantine.py", "data/validation/data_docs_view.py"}),
    ("prefect", set()), ("dvc", set()), ("ray", set()), ("transformers", set()),
    ("typer", {"cli.py", "core/terminal.py", *(f"commands/{path.name}" for path in (PACKAGE / "commands").glob("*.py"))}),
    ("pickle", {"model/tensor_files.py"}),  # for the name of the error that torch.load raises
])  # fmt: skip
def test_only_those_modules_know_a_tool(tool, allowed):
    knowing = {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if any(name.split(".")[0] == tool for name in imported(path) if name)
    }
    assert knowing <= allowed


def test_the_package_knows_nothing_of_the_orchestration():
    assert not [path for path in MODULES if any(name.split(".")[0] == "pipelines" for name in imported(path) if name)]


HEAVY = [
    "torch",
    "mlflow",
    "great_expectations",
    "prefect",
    "transformers",
    "pandas",
    "sklearn",
    "matplotlib",
    "tiktoken",
    "httpx",
]


def loaded_by(code: str) -> set[str]:
    """Which heavy packages a fresh Python has loaded after that code."""
    program = f"import sys\n{code}\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        .stdout.splitlines()[-1]
        .split()
    )


def test_the_command_line_loads_nothing_heavy():
    assert loaded_by("import gptmill.cli") == set()


def test_stages_without_a_model_load_no_torch_and_no_mlflow():
    light = [
        f"gptmill.stages.{name}"
        for name in (
            "download",
            "validate",
            "split_spam",
            "split_instructions",
            "judge_responses",
            "data_cards",
            "report",
        )
    ]
    assert loaded_by(f"import {', '.join(light)}") & {"torch", "mlflow", "great_expectations"} == set()


def test_telemetry_is_off_unless_the_user_turned_it_on():
    names = [
        "MLFLOW_DISABLE_TELEMETRY",
        "PREFECT_SERVER_ANALYTICS_ENABLED",
        "GX_ANALYTICS_ENABLED",
        "DVC_NO_ANALYTICS",
        "HF_HUB_DISABLE_TELEMETRY",
    ]
    program = f"import gptmill, os; print(*[os.environ[name] for name in {names}])"

    def settings(environment: dict) -> list[str]:
        return subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        ).stdout.split()

    assert settings({}) == ["true", "false", "false", "true", "1"]
    assert settings(dict.fromkeys(names, "mine")) == ["mine"] * 5
