import pandas as pd
import pytest

from gptmill import config, stages
from gptmill.core import paths
from gptmill.core.errors import GptmillError


def test_texts_without_words_have_no_baseline_and_leave_nothing(copy_of_built):
    path = paths.SPAM_SPLITS / "train.parquet"
    pd.read_parquet(path).assign(text="?").to_parquet(path)
    (paths.METRICS / "classifier.json").unlink()
    with pytest.raises(GptmillError, match="no text of the training split has a word"):
        stages.run("evaluate_classifier", config.load())
    assert not (paths.METRICS / "classifier.json").exists()
