import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gptmill import cli, config
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError
from gptmill.model.lineage import Lineage
from gptmill.registry import champion_lock, versions
from gptmill.registry.decision import Decision
from gptmill.registry.promote import Outcome, promote, rollback

NAME = "gptmill-classifier"


def promoted(**how):
    [outcome] = promote(config.load(), ["classifier"], **how)
    return outcome


def with_params(old: str, new: str) -> None:
    text = paths.PARAMS.read_text()
    assert old in text
    paths.PARAMS.write_text(text.replace(old, new))


@pytest.fixture
def client(arena):
    with versions.opened() as client:
        yield client


def alias(client, name: str) -> str | None:
    version = versions.at(client, NAME, name)
    return version and str(version.version)


def test_the_first_one_is_promoted_when_the_guards_hold_and_all_that_is_known_stands_in_the_registry(client):
    outcome = promoted()
    assert (outcome.decision.verdict, outcome.version, outcome.champion) == ("promoted", "1", "")
    assert "no champion" in outcome.decision.reasons[0]
    assert (alias(client, "champion"), alias(client, "challenger"), alias(client, "previous")) == ("1", None, None)
    version = client.get_model_version(NAME, "1")
    assert version.tags["promotion.decision"] == "promoted" and version.tags["promotion.reason"] == "; ".join(
        outcome.decision.reasons
    )
    assert float(version.tags["promotion.challenger_recall_spam"]) == pytest.approx(
        outcome.decision.figures["challenger recall spam"], abs=1e-3
    )
    assert version.description.startswith("# A text classifier") and "## Limits" in version.description
    # It is the model that its evaluation has logged, not another copy of it.
    assert client.get_run(version.run_id).data.tags["dvc.stage"] == "evaluate_classifier"
    run = client.get_run(version.tags["promotion.run"])
    assert client.get_experiment(run.info.experiment_id).name == versions.EXPERIMENT
    assert run.info.status == "FINISHED" and run.data.tags["promotion.decision"] == "promoted"
    assert "challenger" in run.data.metrics and run.data.params["promotion.margin"] == "0.0"
    with versions.folder_of(version) as folder:
        assert files.digest(folder / Lineage.WEIGHTS) == files.digest(paths.CLASSIFIER_MODEL / Lineage.WEIGHTS)
        assert (folder / Lineage.FILE).exists()
    assert promoted().decision.reasons == ["it is the champion"] and alias(client, "champion") == "1"


def test_better_equal_and_worse_challengers_are_promoted_kept_and_kept_each_with_its_reason(client, challenger):
    challenger("wrong")
    promoted()
    challenger("right")
    better = promoted()
    assert better.decision.verdict == "promoted" and "above the margin" in better.decision.reasons[0]
    assert (
        better.decision.figures["difference low"] > 0
        and better.decision.figures["challenger"] > better.decision.figures["champion"]
    )
    assert (alias(client, "champion"), alias(client, "previous"), alias(client, "challenger")) == ("2", "1", None)
    challenger(scale=1.0001)  # other bytes, the same answers
    equal = promoted()
    assert (equal.version, equal.champion, equal.decision.verdict) == ("3", "2", "not promoted")
    assert equal.decision.figures["difference"] == 0 and "not above the margin" in equal.decision.reasons[0]
    challenger("wrong", scale=1.0001)
    worse = promoted()
    assert worse.decision.verdict == "not promoted" and worse.decision.figures["difference high"] < 0
    assert (alias(client, "champion"), alias(client, "challenger"), alias(client, "previous")) == (
        "2",
        worse.version,
        "1",
    )
    assert client.get_model_version(NAME, worse.version).tags["promotion.decision"] == "not promoted"


def test_roll_back_brings_back_the_one_before_once_and_what_was_rolled_back_stays_away(client, challenger):
    with pytest.raises(GptmillError, match="nothing to roll back to; it has no champion"):
        rollback("classifier")
    challenger("wrong")
    promoted()
    with pytest.raises(GptmillError, match="nothing to roll back to; its champion is version 1"):
        rollback("classifier")
    challenger("right")
    promoted()
    assert "version 1 is the champion again" in rollback("gptmill-classifier")
    assert (alias(client, "champion"), alias(client, "previous")) == ("1", None)
    with pytest.raises(
        GptmillError, match="nothing to roll back to"
    ):  # the second of two people does not undo the first
        rollback("classifier")
    again = promoted()
    assert again.decision.verdict == "not promoted" and "was rolled back" in again.decision.reasons[0]
    client.delete_model_version_tag(NAME, "2", "promotion.rolled_back")
    assert promoted().decision.verdict == "promoted" and alias(client, "champion") == "2"


def spoil_numbers() -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(paths.CLASSIFIER_MODEL / Lineage.WEIGHTS)
    weights["score.weight"][0, 0] = float("nan")
    save_file(weights, paths.CLASSIFIER_MODEL / Lineage.WEIGHTS)
    accept_weights()


def accept_weights() -> None:
    """As if the weights had been trained like that."""
    lineage = files.read_json(paths.CLASSIFIER_MODEL / Lineage.FILE)
    files.write_json(
        paths.CLASSIFIER_MODEL / Lineage.FILE,
        lineage | {"weights": files.digest(paths.CLASSIFIER_MODEL / Lineage.WEIGHTS)},
    )


def cut_weights() -> None:
    path = paths.CLASSIFIER_MODEL / Lineage.WEIGHTS
    path.write_bytes(path.read_bytes()[:-1000])
    accept_weights()


def change_weights() -> None:
    path = paths.CLASSIFIER_MODEL / Lineage.WEIGHTS
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")


def leave_out(name: str):
    return lambda: (paths.CLASSIFIER_MODEL / name).unlink()


def change_data() -> None:
    import pandas as pd

    train = pd.read_parquet(paths.SPAM_SPLITS / "train.parquet")
    train.iloc[:-1].to_parquet(paths.SPAM_SPLITS / "train.parquet")


def leak() -> None:
    report = files.read_json(paths.VALIDATION)
    report["spam"]["leakage"]["near"] = 3
    files.write_json(paths.VALIDATION, report)


BROKEN = {
    "NaN": (spoil_numbers, "weights contain NaN or Inf: score.weight in models/classifier"),
    "a file cut short": (cut_weights, "model.safetensors"),
    "a changed byte": (change_weights, "damaged, or was changed by hand"),
    "no weights": (leave_out("model.safetensors"), "it has no model.safetensors"),
    "no tokenizer": (leave_out("tokenizer.json"), "tokenizer.json is not here"),
    "no length": (leave_out("tokenizer_config.json"), "tokenizer_config.json"),
    "no config": (leave_out("config.json"), "there is no model in"),
    "no lineage": (leave_out("lineage.json"), "its training data is unknown"),
    "odd lineage": (lambda: (paths.CLASSIFIER_MODEL / "lineage.json").write_text("[]"), "can't be read as a lineage"),
    "other data": (change_data, "was not trained on data/spam/train.parquet as it is now"),
    "leakage": (leak, "leakage: exact 0, near 3"),
    "no report": (paths.VALIDATION.unlink, "leakage: unknown 1"),
    "recall": (lambda: with_params("min_recall: 0.0", "min_recall: 1.0"), "below promotion.min_recall"),
    "calibration": (
        lambda: with_params("max_calibration_error: 1.0", "max_calibration_error: 0.0"),
        "above promotion.max_calibration",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_challenger_is_refused_and_told_why(arena, what, monkeypatch):
    spoil, why = BROKEN[what]
    spoil()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    (arena / "mlflow.db").unlink()  # nothing to compare with: a dry run makes no registry
    decision = promoted(dry_run=True).decision
    assert decision.verdict == "refused" and re.search(why, " ".join(decision.reasons)), decision
    assert not (arena / "mlflow.db").exists()


def test_a_refused_challenger_is_in_the_registry_with_its_reason_and_the_champion_stays(client, challenger):
    promoted()
    challenger(labels=["ham", "other"])
    outcome = promoted()
    assert (
        outcome.decision.verdict == "refused"
        and "its classes are ham, other, the data's ham, spam" in outcome.decision.reasons[0]
    )
    assert (alias(client, "champion"), alias(client, "challenger")) == ("1", "2")
    assert client.get_model_version(NAME, "2").tags["promotion.decision"] == "refused"


def test_a_champion_that_learnt_from_other_data_is_compared_and_it_is_said(client, challenger):
    promoted()
    change_data()
    lineage = files.read_json(paths.CLASSIFIER_MODEL / Lineage.FILE)
    lineage["data"]["data/spam/train.parquet"] = files.digest(paths.SPAM_SPLITS / "train.parquet", "md5")
    files.write_json(paths.CLASSIFIER_MODEL / Lineage.FILE, lineage)
    challenger("right")
    assert "the champion was trained on other data" in promoted().decision.reasons[1]


def test_a_champion_that_can_not_take_the_test_gives_way(client, challenger):
    promoted()
    stored = Path(client.get_model_version(NAME, "1").source.removeprefix("file://"))
    moved = stored.parent / "moved"
    assert stored.exists()
    shutil.copytree(stored, moved)  # it belongs to all tests
    try:
        (stored / "artifacts" / "classifier" / "config.json").write_text("{}")
        challenger("right")
        outcome = promoted()
    finally:
        shutil.rmtree(stored)
        moved.rename(stored)
    assert (
        outcome.decision.verdict == "promoted"
        and "the champion can't be measured on today's test data" in outcome.decision.reasons[-1]
    )


def test_a_dry_run_changes_nothing(client, challenger, arena):
    challenger("wrong")
    promoted()
    challenger("right")
    before = {
        path: files.digest(path)
        for path in arena.rglob("*")
        if path.is_file() and path.name != ".mlflow.lock" and paths.PROMOTIONS.name not in path.parts
    }
    outcome = promoted(dry_run=True)
    assert (outcome.decision.verdict, outcome.version, outcome.champion) == ("promoted", "", "1")
    assert {
        path: files.digest(path)
        for path in arena.rglob("*")
        if path.is_file() and path.name != ".mlflow.lock" and paths.PROMOTIONS.name not in path.parts
    } == before
    assert alias(client, "champion") == "1"


def test_the_store_in_the_project_keeps_its_files_there_too(client, challenger, arena):
    challenger(scale=1.5)  # no run has logged this one
    version = client.get_model_version(NAME, promoted().version)
    assert Path(version.source.removeprefix("file://")).is_relative_to(arena / "mlartifacts")
    assert "promotion.decision" in client.get_run(version.run_id).data.tags
    assert not (arena / "mlruns").exists()


def test_a_registry_that_is_not_there_is_said_so(arena, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    with pytest.raises(GptmillError, match="MLflow at http://127.0.0.1:9 failed") as raised:
        promoted()
    assert "secret" not in str(raised.value)


def test_what_was_decided_before_something_went_wrong_is_shown(arena, monkeypatch):
    def decide(*_: object, **__: object):
        yield Outcome("gptmill-base", Decision("promoted", ["the first of its name"], {}), "1")
        raise GptmillError("the disk is full")

    monkeypatch.setattr("gptmill.registry.promote.promote", decide)
    result = CliRunner().invoke(cli.app, ["promote"])
    assert (
        "gptmill-base" in result.output
        and "the first of its name" in result.output
        and "the disk is full" in str(result.exception)
    )


def test_a_file_that_can_not_be_read_is_not_blamed_on_the_registry(arena, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "model.safetensors")

    monkeypatch.setattr("gptmill.registry.versions.of_content", refuse)
    with pytest.raises(PermissionError):
        promoted()


@pytest.mark.parametrize(
    ("names", "why"),
    [(["spam"], "there is no model spam"), (["base"], "models/base not found"), ([], "no model in models/")],
)
def test_what_can_not_be_promoted_is_said_so(tmp_path, monkeypatch, names, why, project):
    with pytest.raises(GptmillError, match=why):
        list(promote(config.load(), names))


def test_the_exit_code_says_whether_one_was_refused(arena, monkeypatch, capsys):
    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["gptmill", *words])
        with pytest.raises(SystemExit) as left:
            cli.main()
        output = capsys.readouterr()
        return left.value.code or 0, " ".join((output.out + output.err).split())

    code, output = run("promote", "classifier", "instruct", "base")
    assert code == 0 and output.count("promoted") == 3
    change_weights()
    code, output = run("promote", "--dry-run")
    assert code == 3 and "would be" in output and "refused" in output and output.count("it is the champion") == 2
    code, output = run("rollback", "base")
    assert code == 1 and output.startswith("error: gptmill-base has nothing to roll back to")


# --- two at once ---

BOTH = """
import json, sys, time
from pathlib import Path
from gptmill import config
from gptmill.registry import promote

compared = promote._compare
def together(*args):
    decision = compared(*args)
    Path("..", sys.argv[1]).touch()  # the first comparisons of both end before either goes on
    for _ in range(1800):
        if all(Path("..", name).exists() for name in ("one", "other")):
            return decision
        time.sleep(0.05)
    raise SystemExit("the other did not come")

promote._compare = together
[outcome] = promote.promote(config.load(), ["classifier"])
print(json.dumps([outcome.decision.verdict, outcome.decision.reasons, outcome.version, outcome.champion]))
"""


def test_of_two_promotions_at_once_one_wins_and_the_other_is_compared_with_it(client, challenger, arena, monkeypatch):
    challenger("wrong")
    promoted()
    challenger("right")
    both = {}
    for name, scale in (("one", 1.001), ("other", 1.002)):
        folder = arena.parent / f"copy of {name}"
        shutil.copytree(arena, folder, ignore=shutil.ignore_patterns("mlflow.db*", "mlartifacts"))
        monkeypatch.chdir(folder)
        challenger(scale=scale)
        both[name] = subprocess.Popen(
            [sys.executable, "-c", BOTH, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    ended = {name: process.communicate(timeout=200) for name, process in both.items()}
    assert all(process.returncode == 0 for process in both.values()), "\n".join(err for _, err in ended.values())
    results = {name: json.loads(out.splitlines()[-1]) for name, (out, _) in ended.items()}
    (winner, loser) = sorted(results.values(), key=lambda found: found[0] != "promoted")
    assert (winner[0], winner[3], loser[0]) == ("promoted", "1", "not promoted")
    assert loser[3] == winner[2] and loser[1][-1] == "compared again, with another that was promoted meanwhile"
    assert (alias(client, "champion"), alias(client, "previous")) == (winner[2], "1")


def test_an_alias_that_another_made_at_the_same_moment_is_set_all_the_same(client, challenger):
    from mlflow.exceptions import MlflowException

    challenger("right")
    promoted()
    called = []

    class Beaten:
        def set_registered_model_alias(self, *given: str) -> None:
            called.append(given)
            if len(called) == 1:
                raise MlflowException("UNIQUE constraint failed")
            client.set_registered_model_alias(*given)

    versions.point(Beaten(), NAME, "mine", "1")
    assert len(called) == 2 and alias(client, "mine") == "1"


def test_a_promotion_that_died_is_finished_by_the_next(client, challenger, monkeypatch):
    monkeypatch.setattr(champion_lock, "TIMEOUT", 0.2)
    challenger("wrong")
    promoted()
    challenger("right")
    with monkeypatch.context() as patch:
        patch.setattr(champion_lock, "_finish", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            promoted()
    assert alias(client, "champion") == "1"
    challenger(scale=1.01)
    outcome = promoted()
    assert (outcome.champion, outcome.decision.verdict, alias(client, "champion")) == ("2", "not promoted", "2")


def test_nobody_takes_the_same_number_twice_and_a_champion_set_by_hand_is_believed(client, challenger):
    for head in ("wrong", "right"):
        challenger(head)
        promoted()
    after = champion_lock.settled(client, NAME)
    assert after == 2
    client.set_registered_model_alias(NAME, "champion", "1")  # by hand
    assert not champion_lock.change(client, NAME, after, "2", "2", "1") and alias(client, "champion") == "1"
    assert not champion_lock.change(client, NAME, after, "1", "2", "1")  # that number is taken
    assert (
        champion_lock.change(client, NAME, champion_lock.settled(client, NAME), "1", "2", "1")
        and alias(client, "champion") == "2"
    )


def test_one_that_slept_too_long_puts_back_what_others_did_meanwhile(client, challenger, monkeypatch):
    for head in ("wrong", "right"):
        challenger(head)
        promoted()
    monkeypatch.setattr(champion_lock, "TIMEOUT", 0.0)
    apply, slept = champion_lock._apply, []

    def late(client, name, claim):
        if not slept:  # before it sets the alias, two others come by: one finishes this one's, and goes on
            slept.append(True)
            assert champion_lock.settled(client, name) == 3 and alias(client, "champion") == "1"
            assert champion_lock.change(client, name, 3, "1", "2", "1")
        apply(client, name, claim)

    monkeypatch.setattr(champion_lock, "_apply", late)
    assert champion_lock.change(client, NAME, 2, "2", "1", "2")
    assert alias(client, "champion") == "2"
