import pandas as pd
import pytest

from gptmill import params, paths, stages
from gptmill.errors import GptmillError
from gptmill.training import loop


def test_texts_without_words_are_refused_before_anything_is_trained(copy_of_built, monkeypatch):
    path = paths.SPAM_SPLITS / "train.parquet"
    pd.read_parquet(path).assign(text="?").to_parquet(path)
    monkeypatch.setattr(loop, "train", lambda *args, **options: pytest.fail("it was trained"))
    with pytest.raises(GptmillError, match="no text of the training split has a word"):
        stages.run("finetune_classifier", params.load())
