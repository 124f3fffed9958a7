import re
import subprocess
import sys
from pathlib import Path

import pytest

from gptmill import cli
from gptmill.config import profiles
from gptmill.core import files, paths, terminal


@pytest.fixture
def gptmill(monkeypatch, capsys):
    """`gptmill("params", "check")` runs it as the console script does; returns exit code, stdout and stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gptmill", *words])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    return run


def test_help_names_every_verb_and_loads_no_torch():
    heavy = "torch", "numpy", "pandas", "pydantic", "mlflow", "dvc", "prefect", "httpx", "ruamel", "gptmill.config"
    program = f"import atexit, sys\natexit.register(lambda: print([name for name in {heavy} if name in sys.modules]))"
    program += "\nfrom gptmill.cli import main\nmain()"
    said = subprocess.run([sys.executable, "-c", program, "--help"], capture_output=True, text=True, check=True).stdout
    for verb in ("stage", "params", "weights", "model", "generate", "classify", "ask", "summary", "doctor"):
        assert verb in said
    assert said.splitlines()[-1] == "[]"


def test_it_runs_as_a_script_and_as_a_module(project):
    (project / "params.yaml").write_text("seed: 1\nmodel: 7\n")
    for command in (["gptmill"], [sys.executable, "-m", "gptmill"]):
        done = subprocess.run([*command, "params", "check"], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith("error: params.yaml has") and "model: 7 is not a section" in done.stderr
        assert "Traceback" not in done.stderr and done.stdout == ""


def test_params_check(project, gptmill):
    assert gptmill("params", "check") == (0, "params.yaml is valid.\n", "")
    code, out, err = gptmill("params", "check", "nowhere.yaml")
    assert (code, out) == (1, "") and err.startswith("error: nowhere.yaml not found")


def test_params_show_explains_every_parameter(project, gptmill):
    code, out, _ = gptmill("params", "show")
    assert code == 0
    assert re.search(r"^classifier\.epochs: 1 +# passes over the training split$", out, re.MULTILINE)
    assert all(" # " in line for line in out.splitlines()) and len(out.splitlines()) > 50


def test_params_show_shows_no_secrets(project, gptmill):
    text = paths.PARAMS.read_text().replace("source: sample", "source: custom")
    paths.PARAMS.write_text(text.replace("urls: []", "urls: ['https://me:pass@host/a.txt?token=t0ken&id=5']", 1))
    out = gptmill("params", "show")[1]
    assert "data.corpus.urls: ['https://host/a.txt?token=…&id=5']" in out and "t0ken" not in out


def test_params_use(project, gptmill):
    assert gptmill("params", "use", "sample", "--force")[0] == 0
    assert paths.PARAMS.read_text() == profiles.text("sample")
    code, _, err = gptmill("params", "use", "huge")
    assert code == 1 and "unknown profile huge" in err
    paths.PARAMS.write_text(paths.PARAMS.read_text() + "# mine\n")
    assert gptmill("params", "use", "mini")[0] == 1
    assert gptmill("params", "use", "mini", "--force")[0] == 0


def test_an_unknown_stage_names_those_that_there_are(project, gptmill):
    code, _, err = gptmill("stage", "pretrian")
    assert code == 1
    assert err.startswith("error: there is no stage pretrian; there are ") and "pretrain" in err and "validate" in err


def test_a_stage_without_its_input_says_what_to_run(project, gptmill):
    code, _, err = gptmill("stage", "split_spam")
    assert code == 1
    assert (
        err.startswith("error: ") and "data/clean/spam.parquet" in err and "dvc repro" in err and "Traceback" not in err
    )


def test_a_stage_runs(project, gptmill):
    code, out, _ = gptmill("stage", "download", "spam")
    assert code == 0 and (paths.RAW / "spam/spam.tsv").exists()
    assert "spam: " in out and "bytes from the sample in gptmill, the first 500 messages" in out


def test_a_training_that_diverges_says_what_to_do(copy_of_built, gptmill):
    import torch
    from safetensors.torch import load_file, save_file

    path = paths.BASE_MODEL / "model.safetensors"
    weights = load_file(path)
    weights["transformer.ln_f.weight"] = torch.full_like(
        weights["transformer.ln_f.weight"], 3e38
    )  # finite: NaN is refused before
    save_file(weights, path)
    code, _, err = gptmill("stage", "finetune_instruct")
    assert code == 1
    assert "error: the loss of finetune_instruct is NaN or Inf at step 1: lower its learning_rate" in err


def test_bad_params_stop_a_stage_before_any_work(project, gptmill):
    paths.PARAMS.write_text(paths.PARAMS.read_text().replace("messages: 500", "messages: 0"))
    code, _, err = gptmill("stage", "download", "spam")
    assert code == 1 and "data.sample.messages: 0" in err
    assert not paths.RAW.exists()


@pytest.mark.parametrize("text", ["WINNER!! Claim your prize now", "", "猫 £100"])
def test_classify_prints_a_label_and_how_sure_it_is(in_built, gptmill, text):
    code, out, _ = gptmill("classify", text)
    assert code == 0
    assert re.fullmatch(r"(ham|spam) \((5\d|[6-9]\d|100)\.\d%\)\n", out)


def test_generate_prints_the_prompt_and_what_follows(in_built, gptmill):
    code, out, _ = gptmill("generate", "Once", "--max-new-tokens", "12", "--seed", "3")
    assert code == 0
    assert out.startswith("Once") and len(out) > len("Once\n")
    assert gptmill("generate", "Once", "--max-new-tokens", "12", "--seed", "3")[1] == out
    assert gptmill("generate", "Once", "--max-new-tokens", "12", "--seed", "4")[1] != out


def test_generate_takes_an_empty_prompt_and_a_long_one(in_built, gptmill):
    assert gptmill("generate", "", "--max-new-tokens", "3")[0] == 0
    code, out, _ = gptmill("generate", "Once upon a time. " * 100, "--max-new-tokens", "3", "--temperature", "0")
    assert code == 0 and out.startswith("Once upon a time. " * 100)


def test_a_streamed_text_is_the_text(in_built, gptmill):
    """Pieces are whole characters, and together what the tokens mean."""
    from gptmill.inference.generation import generate
    from gptmill.inference.sampling import SamplingParams
    from gptmill.model.folder import ModelFolder
    from gptmill.text.tokenizer import Tokenizer

    model, tokenizer = ModelFolder(paths.BASE_MODEL).load_gpt(), Tokenizer.load(paths.BASE_MODEL)
    [completion] = generate(
        model, [tokenizer.encode("the")], SamplingParams(40, temperature=3.0, seed=1, stop=tokenizer.end_of_text)
    )
    out = gptmill("generate", "the", "--max-new-tokens", "40", "--temperature", "3", "--top-k", "0", "--seed", "1")[1]
    assert out == "the" + terminal.escape_controls(tokenizer.decode(completion.tokens)) + "\n"


def test_ask_prints_an_answer(in_built, gptmill):
    for words in (["Name the cat."], ["Translate.", "the mill"]):
        code, out, _ = gptmill("ask", *words, "--max-new-tokens", "8")
        assert code == 0 and out.endswith("\n")
        assert "### " not in out


@pytest.mark.parametrize("words", [["classify", "x"], ["generate", "x"], ["ask", "x"]])
def test_without_a_model_it_says_what_to_run(project, gptmill, words):
    code, out, err = gptmill(*words)
    assert (code, out) == (1, "") and err.startswith("error: there is no model in models/") and "make run" in err


def test_a_wrong_kind_of_model_is_said_to_be(in_built, gptmill):
    code, _, err = gptmill("classify", "x", "--model", "models/base")
    assert code == 1 and "holds a language model, not a classifier" in err


def test_summary_shows_the_numbers_and_where_the_report_is(in_built, gptmill):
    code, out, _ = gptmill("summary")
    assert code == 0
    metrics = files.read_json(paths.METRICS / "pretrain.json") | files.read_json(paths.METRICS / "base.json")
    for said in (
        f"{metrics['parameters']:,}",
        f"{metrics['validation_perplexity']:.2f}",
        "TF-IDF",
        "exactly right",
        "reports/report.html",
        "gptmill ask",
    ):
        assert said in out


def test_summary_before_a_run_says_what_to_run(project, gptmill):
    code, _, err = gptmill("summary")
    assert code == 1 and err.startswith("error: ") and "make run" in err


def test_doctor_says_what_is_there(in_built, gptmill, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = gptmill("doctor")
    for said in ("Python", "torch", "mlflow", "valid, profile mini", "models/base", "Nothing is wrong."):
        assert said in out
    assert code == 0


def test_doctor_says_what_is_wrong_and_what_to_do(project, gptmill, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    monkeypatch.setenv("GPTMILL_MIRROR", str(project / "nowhere"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("PREFECT_API_URL", "http://user:secret@host:notaport/api")
    paths.PARAMS.write_text("seed: x\n")
    code, out, _ = gptmill("doctor")
    assert code == 1
    for said in ("params.yaml has", "gptmill params use sample", "no such folder", "does not answer", "make run"):
        assert said in out
    assert "secret" not in out
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://user:secret@host/mlflow")
    monkeypatch.setenv("GPTMILL_MIRROR", "https://user:secret@host/mirror")
    assert "secret" not in gptmill("doctor")[1]


def test_doctor_makes_no_mark_at_what_is_not_there(project, gptmill, monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")
    rows = [line for line in gptmill("doctor")[1].splitlines() if "✓" in line]
    for what in ("base model", "classifier", "instruct model", "report", "data", "MLflow"):
        assert not [row for row in rows if f" {what} " in row]
    for uri, said in {
        "sqlite:///no/such.db": "not found",
        "postgresql://me:secret@127.0.0.1:9/m": "does not answer",
    }.items():
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        out = gptmill("doctor")[1]
        assert said in out and "secret" not in out and not Path("no").exists()


def test_doctor_of_a_bomb_asks_dvc_nothing(project, gptmill, monkeypatch):
    paths.PARAMS.write_text("seed: " + "[" * 1000)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("dvc reads params.yaml"))
    code, out, _ = gptmill("doctor")
    assert code == 1 and "nested" in out
