"""CPU, memory, disk, network and GPU while a stage runs: MLflow's system metrics, through the outbox."""

import logging
import os
import time
from pkgutil import resolve_name
from typing import Any

from gptmill.tracking.outbox import Outbox

SAMPLE_EVERY = 10.0  # seconds, unless MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL says otherwise
PREFIX = "system/"
_MONITORS = ("CPU", "Disk", "Network", "GPU", "ROCM")

log = logging.getLogger(__name__)


class SystemMetrics:
    """Samples into an outbox. MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING=false switches it off."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        enabled = os.environ.get("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true").lower() not in ("false", "0")
        self._monitors = _monitors() if enabled else []
        self._every = float(os.environ.get("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL") or SAMPLE_EVERY)
        # A resumed training continues the steps.
        self._step = 1 + max((step for name, _, step in outbox.points() if name.startswith(PREFIX)), default=-1)
        self._read()  # rates are since the reading before
        self._read_at, self._samples = time.monotonic(), 0

    def sample_if_due(self) -> None:
        if self._monitors and time.monotonic() - self._read_at >= self._every:
            self.sample()

    def end(self) -> None:
        """Sample a stage that was too short for one."""
        if self._monitors and not self._samples:
            self.sample()

    def sample(self) -> None:
        points = [[PREFIX + name, float(value), self._step] for name, value in self._read().items()]
        self._outbox.add("metrics", points=points)
        self._read_at = time.monotonic()
        self._step += 1
        self._samples += 1

    def _read(self) -> dict[str, float]:
        values: dict[str, float] = {}
        for monitor in self._monitors:
            monitor.collect_metrics()
            values |= monitor.aggregate_metrics()
            monitor.clear_metrics()
        return values


def _monitors() -> list[Any]:
    """MLflow's monitors that work here: a GPU's needs its maker's library."""
    monitors = []
    for name in _MONITORS:
        try:
            monitors.append(resolve_name(f"mlflow.system_metrics.metrics.{name.lower()}_monitor:{name}Monitor")())
        except Exception as error:  # noqa: BLE001 - whatever an import or a driver raises
            log.debug("no %s metrics: %s", name, error)
    return monitors
