"""The overhead of Prefect over DVC: the same stages as a flow with a running server, and by `dvc repro`.

python -m benchmarks.orchestration       # these rows alone, on the last commit; two to three minutes on two cores
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.table import IDLE_ROUNDS, Row

ALLOWED_SECONDS = 5.0  # a flow with nothing to do may take that much longer than `dvc repro`
ALLOWED_SHARE = 0.15  # and a whole one that much
FLOW, REPRO = ("pipelines.flow",), ("dvc", "repro")


@dataclass(frozen=True)
class Overhead:
    """Seconds of wall clock, from the start of the process to its end."""

    idle_flow: float
    idle_repro: float
    whole_flow: float
    whole_repro: float

    def rows(self) -> list[Row]:
        """The ratio is above one when the flow took less than its limit."""
        idle, whole = self.idle_repro + ALLOWED_SECONDS, self.whole_repro * (1 + ALLOWED_SHARE)
        return [
            Row(
                "flow with nothing to do, seconds", f"{self.idle_flow:.1f}", f"dvc repro's {self.idle_repro:.1f} and {ALLOWED_SECONDS:g}",
                f"{idle:.1f}", idle / self.idle_flow, 1,
            ),
            Row(
                "whole flow (mini), seconds", f"{self.whole_flow:.1f}", f"dvc repro's {self.whole_repro:.1f} and {ALLOWED_SHARE:.0%}",
                f"{whole:.1f}", whole / self.whole_flow, 1,
            ),
        ]  # fmt: skip


def measure(repository: Path) -> Overhead:
    """Two clones of the last commit, one for each way; the whole pipeline on profile mini, then again with nothing to do."""
    from gptmill.commands import servers
    from gptmill.config import profiles
    from tools import reproduce

    with tempfile.TemporaryDirectory(prefix="gptmill-overhead-") as temporary:
        clones = {way: Path(temporary, way[0]) for way in (FLOW, REPRO)}
        for clone in clones.values():
            reproduce.clone(repository, clone)
            (clone / "params.yaml").write_text(profiles.text("mini", clone), encoding="utf-8")
        server = servers.prefect(servers.free_port())
        home = _environment(Path(temporary, "server"), clones[FLOW], {})
        with servers.running(server, environment=home, log=Path(temporary, "server.log")):
            environments = {
                way: _environment(Path(temporary, "home-" + way[0]), clone, server.settings)
                for way, clone in clones.items()
            }

            def seconds(way: tuple[str, ...]) -> float:
                return _seconds(way, clones[way], environments[way])

            # The libraries are read from the disk once, so that neither pays for it.
            _seconds(("gptmill", "doctor"), clones[REPRO], environments[REPRO], check=False)
            whole = {way: seconds(way) for way in (REPRO, FLOW)}
            idle = {way: [] for way in clones}
            for _ in range(IDLE_ROUNDS):
                for way in (REPRO, FLOW):
                    idle[way].append(seconds(way))
    return Overhead(median(idle[FLOW]), median(idle[REPRO]), whole[FLOW], whole[REPRO])


def _environment(home: Path, clone: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """A clone's own code, caches and stores; nothing of the person who measures."""
    unset = ("MLFLOW_TRACKING_URI", "GPTMILL_RUN", "DVC_ROOT", "DVC_STAGE", "GPTMILL_MIRROR", "PREFECT_API_URL")
    own = {"PYTHONPATH": str(clone / "src"), "GPTMILL_CACHE": str(home), "PREFECT_HOME": str(home)}
    own |= {
        "DVC_GLOBAL_CONFIG_DIR": str(home),
        "DVC_SITE_CACHE_DIR": str(home / "dvc"),
    }  # with no cache that both ways share
    return {name: value for name, value in os.environ.items() if name not in unset} | own | dict(settings)


def _seconds(command: tuple[str, ...], folder: Path, environment: dict[str, str], check: bool = True) -> float:
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return time.perf_counter() - started


if __name__ == "__main__":
    for row in measure(Path.cwd()).rows():
        print("| {} | {} | {} | {} | {:.2f} | {:g} |".format(*row))
