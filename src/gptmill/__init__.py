"""gptmill: from raw text to GPT models that a team can defend."""

import os

__version__ = "0.1.0"

# What has to be said before the tools are imported; a user's own setting wins. Telemetry is off unless the user turned it on.
# OpenMP reads its settings when torch is imported: a thread that waits spins for a moment, then sleeps. Spinning for long, its default,
# makes a training ten times slower beside any other busy process; not spinning at all makes it half as fast alone.
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
