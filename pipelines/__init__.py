"""Orchestration, and the only place that knows Prefect: `dvc.yaml`'s graph as a flow."""

import os
from pathlib import Path

import gptmill  # noqa: F401 - turns telemetry off, before Prefect is imported

# Runs, and the server's database, stay in the project unless the user says otherwise.
os.environ.setdefault("PREFECT_HOME", str(Path.cwd() / ".prefect"))
