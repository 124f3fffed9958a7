"""How busy the machine is while a stage works: MLflow's own system metrics, but through the journal, as all else."""

import logging
import os
import time
from typing import Any

from gptmill.tracking.outbox import Outbox

SAMPLE_EVERY = 10.0  # seconds, unless MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL says otherwise
PREFIX = "system/"

log = logging.getLogger(__name__)


class SystemMetrics:
    """Samples into a journal. MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false switches it off."""

    def __init__(self, journal: Outbox) -> None:
        self._journal = journal
        self._monitors = (
            _monitors()
            if os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true").lower() not in ("false", "0")
            else []
        )
        self._every = float(os.environ.get("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL") or SAMPLE_EVERY)
        # A training that goes on after a kill goes on counting.
        points = [point for event in journal.events if event["do"] == "metrics" for point in event["points"]]
        self._step = 1 + max((step for name, _, step in points if name.startswith(PREFIX)), default=-1)
        self._read()  # shares of time are since the reading before
        self._read_at, self._samples = time.monotonic(), 0

    def sample_if_due(self) -> None:
        if self._monitors and time.monotonic() - self._read_at >= self._every:
            self.sample()

    def end(self) -> None:
        """A stage that is over in a moment has one sample all the same."""
        if self._monitors and not self._samples:
            self.sample()

    def sample(self) -> None:
        self._journal.add(
            "metrics", points=[[PREFIX + name, float(value), self._step] for name, value in self._read().items()]
        )
        self._read_at = time.monotonic()
        self._step += 1
        self._samples += 1

    def _read(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            found |= monitor.aggregate_metrics()
            monitor.clear_metrics()
        return found


def _monitors() -> list[Any]:
    """MLflow's, of what there is here: a GPU's needs the library of its maker."""
    try:
        from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
        from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
        from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
        from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor
        from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor
    except Exception as error:  # noqa: BLE001 - no fault of tracking may stop a training
        log.debug("no system metrics: %s", error)
        return []
    found = []
    for monitor in (CPUMonitor, DiskMonitor, NetworkMonitor, GPUMonitor, ROCMMonitor):
        try:
            found.append(monitor())
        except Exception as error:  # noqa: BLE001 - whatever a driver raises
            log.debug("no %s: %s", monitor.__name__, error)
    return found
