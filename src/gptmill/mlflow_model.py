"""What MLflow runs to serve a model: models-from-code, so that nothing is pickled. `registry` logs this file with the model's folder."""

from pathlib import Path

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext

from gptmill.model.generation import Decoding
from gptmill.serving import Assistant, TextClassifier, TextGenerator


class TextModel(PythonModel):
    """A column `text` in; a column `label` and `probability`, or `text`, out."""

    def load_context(self, context: PythonModelContext) -> None:
        kinds = {"classify": TextClassifier, "generate": TextGenerator, "ask": Assistant}
        self.model = kinds[context.model_config["task"]](Path(context.artifacts["model"]))

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict | None = None) -> pd.DataFrame:
        texts = model_input["text"].tolist()
        if isinstance(self.model, TextClassifier):
            return pd.DataFrame(self.model.classify(texts), columns=["label", "probability"])
        if isinstance(self.model, Assistant):
            return pd.DataFrame({"text": self.model.answers([(text, "") for text in texts])})
        decoding = Decoding(max_new_tokens=100, temperature=0.8, top_k=50)
        return pd.DataFrame({"text": ["".join(self.model.stream(text, decoding)) for text in texts]})


mlflow.models.set_model(TextModel())
