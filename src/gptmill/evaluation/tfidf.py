"""Baseline of the classifier: TF-IDF with logistic regression on the same texts."""

from collections.abc import Sequence

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from gptmill.core.errors import GptmillError
from gptmill.data import text_files
from gptmill.text import writing_systems


def tfidf_of(texts: Sequence[str]) -> str:
    """The terms: "words", or "characters" where many texts are in scripts without spaces."""
    return "characters" if writing_systems.are_unspaced(texts) else "words"


def tfidf_classifier(
    train: tuple[Sequence[str], Sequence[str]], texts: Sequence[str], seed: int, *, weigh_classes: bool = False
) -> list[str]:
    """Labels for `texts`, by a fit on `train`'s texts and labels. `weigh_classes`: classes weigh the same in the fit.

    Raises `GptmillError` where no text of `train` has a word of two letters or digits.
    """
    if tfidf_of(train[0]) == "characters":
        features = {"analyzer": "char", "ngram_range": (1, 4), "preprocessor": text_files.normalise}
    else:
        features = {"ngram_range": (1, 2)}  # words and pairs of them
    class_weight = "balanced" if weigh_classes else None
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, **features),
        LogisticRegression(C=10.0, max_iter=1000, random_state=seed, class_weight=class_weight),
    )
    try:
        model.fit(*train)
    except ValueError as error:
        if "empty vocabulary" not in str(error):
            raise
        raise GptmillError(
            "no text of the training split has a word: does data.spam.text name the column with the texts?"
        ) from None
    return model.predict(texts).tolist()
