"""The MLflow model (models-from-code, no pickle): `log_model` logs this file with the model folder."""

from pathlib import Path

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext

from gptmill.inference.models import Assistant, TextClassifier, TextGenerator
from gptmill.inference.sampling import SamplingParams


class TextModel(PythonModel):
    """A column `text` in. Out: `label`, its `probability` and all `probabilities` by label; or `text`."""

    def load_context(self, context: PythonModelContext) -> None:
        kinds = {"classify": TextClassifier, "generate": TextGenerator, "ask": Assistant}
        self.model = kinds[context.model_config["task"]](Path(context.artifacts["model"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict | None = None
    ) -> pd.DataFrame:
        texts = model_input["text"].tolist()
        if isinstance(self.model, TextClassifier):
            rows = self.model.distribute(texts)
            labels = [max(row, key=row.__getitem__) for row in rows]
            top = [row[label] for label, row in zip(labels, rows, strict=True)]
            return pd.DataFrame({"label": labels, "probability": top, "probabilities": rows})
        if isinstance(self.model, Assistant):
            return pd.DataFrame({"text": self.model.answers([(text, "") for text in texts])})
        # The defaults of `gptmill generate`.
        sampling = SamplingParams(max_new_tokens=100, temperature=0.8, top_k=50)
        return pd.DataFrame({"text": ["".join(self.model.stream(text, sampling)) for text in texts]})


mlflow.models.set_model(TextModel())
