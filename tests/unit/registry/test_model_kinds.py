import pytest

from gptmill.core import paths
from gptmill.core.errors import GptmillError
from gptmill.registry.model_kinds import MODEL_KINDS, named, of_task
from gptmill.tracking import EXPERIMENTS


def test_each_kind_has_a_task_a_folder_and_an_experiment_of_its_own():
    kinds = MODEL_KINDS.values()
    assert {kind.folder for kind in kinds} == {paths.BASE_MODEL, paths.CLASSIFIER_MODEL, paths.INSTRUCT_MODEL}
    assert [of_task(kind.task) for kind in kinds] == list(kinds)
    assert {kind.registered for kind in kinds} == set(EXPERIMENTS.values())


def test_kinds_are_named_by_folder_or_as_in_the_registry_and_without_names_by_what_is_there(tmp_path, monkeypatch):
    base, classifier, _ = MODEL_KINDS.values()
    assert named(["gptmill-classifier", "base"]) == [classifier, base]
    with pytest.raises(GptmillError, match="there is no model spam; there are base, classifier, instruct"):
        named(["base", "spam"])
    monkeypatch.chdir(tmp_path)
    assert named([]) == []
    classifier.folder.mkdir(parents=True)
    assert named([]) == [classifier]
