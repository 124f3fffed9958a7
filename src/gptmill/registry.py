"""Models in MLflow: each with what it needs to answer anywhere, as code and safetensors, never as a pickle."""

from importlib import metadata
from pathlib import Path
from typing import Literal

# What a served model imports; the versions are those that it was trained with.
_REQUIREMENTS = ("torch", "tiktoken", "safetensors", "numpy", "pandas", "pydantic", "tqdm", "scikit-learn")
EXAMPLES = {"generate": "Once", "ask": "Name the tool of a baker.", "classify": "WINNER!! Claim your prize now"}


def log_model(folder: Path, task: Literal["generate", "ask", "classify"]) -> None:
    """Log a model folder to the active run, with its code, its requirements and the schema of what goes in and comes out."""
    import mlflow
    import pandas as pd
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    text = ColSpec(DataType.string, "text")
    outputs = [ColSpec(DataType.string, "label"), ColSpec(DataType.double, "probability")] if task == "classify" else [text]
    package = Path(__file__).parent
    mlflow.pyfunc.log_model(
        name=folder.name,
        python_model=str(package / "mlflow_model.py"),
        artifacts={"model": str(folder)},
        model_config={"task": task},
        code_paths=[str(package)],
        input_example=pd.DataFrame({"text": [EXAMPLES[task]]}),
        signature=ModelSignature(inputs=Schema([text]), outputs=Schema(outputs)),
        pip_requirements=[f"{name}=={metadata.version(name)}" for name in _REQUIREMENTS],
    )
