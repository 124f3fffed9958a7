"""gptmill: from raw text to GPT models that a team can defend."""

import os

__version__ = "0.1.0"

# Telemetry of every tool that we call is off unless the user turned it on. It has to be said before those tools are imported.
for _name, _value in {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "true",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}.items():
    os.environ.setdefault(_name, _value)
