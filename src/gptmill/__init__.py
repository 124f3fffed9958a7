"""gptmill: from raw text to GPT models that a team can defend."""

import os

__version__ = "0.1.0"

# Settings that must exist before the tools are imported; the user's own win. Telemetry is off unless the user turns it on.
# OpenMP: a waiting thread spins briefly, then sleeps. With its default, long spinning, a training is ten times slower
# next to another busy process; without spinning it is half as fast alone.
for _name, _value in {
    "GOMP_SPINCOUNT": "2000",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}.items():
    os.environ.setdefault(_name, _value)
