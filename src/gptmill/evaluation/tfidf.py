"""What TF-IDF reaches on the same texts, so that a reader sees what the classifier is worth."""

from collections.abc import Sequence

from gptmill.core.errors import GptmillError
from gptmill.data import text_files
from gptmill.text import scripts


def tfidf_of(texts: Sequence[str]) -> str:
    """ "words" or, where scripts without spaces have a good part of the texts, "characters"."""
    return "characters" if scripts.are_unspaced(texts) else "words"


def tfidf_classifier(
    train: tuple[Sequence[str], Sequence[str]], texts: Sequence[str], seed: int, *, weigh_classes: bool = False
) -> list[str]:
    """Labels for `texts` from TF-IDF of `tfidf_of` what and a logistic regression, fitted on `train`'s texts and labels.

    `weigh_classes`: every class weighs the same in the fit, however many texts it has. Raises `GptmillError` when no text of `train` has a
    word of two letters or digits.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    if tfidf_of(train[0]) == "characters":
        features = {"analyzer": "char", "ngram_range": (1, 4), "preprocessor": text_files.normalise}
    else:
        features = {"ngram_range": (1, 2)}  # words and pairs of them
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, **features),
        LogisticRegression(
            C=10.0, max_iter=1000, random_state=seed, class_weight="balanced" if weigh_classes else None
        ),
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
