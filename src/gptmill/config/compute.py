"""The section `compute`: device, precision, processes. It changes results in the last digits of sums at most."""

import shlex
from typing import Annotated, Literal

from pydantic import Field, field_validator

from gptmill.config.section import Section

# Options that neither start another program nor write files, as --log-dir and --rdzv-conf (store_type=file) do.
TORCHRUN_OPTIONS = (
    "--standalone", "--nproc-per-node", "--nnodes", "--node-rank", "--master-addr", "--master-port", "--local-addr",
    "--rdzv-backend", "--rdzv-endpoint", "--rdzv-id", "--max-restarts", "--monitor-interval", "--start-method",
    "--role", "--numa-binding",
)  # fmt: skip


class ComputeParams(Section):
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto: the fastest available")
    precision: Literal["auto", "float32", "bf16"] = Field("auto", description="auto: bf16 on devices where it is fast")
    threads: Annotated[int, Field(ge=0)] = Field(
        0, description="CPU threads per process; 0: one per core, for torch and tokenizing"
    )
    launcher: str = Field(
        "", description='"": one process per training; or a command: torchrun --standalone --nproc-per-node 2'
    )
    checkpoint_activations: bool = Field(False, description="less memory, a third slower, same result")
    checkpoint_minutes: Annotated[float, Field(ge=0)] = Field(
        5.0, description="minutes between training checkpoints; 0: one after every step"
    )

    @field_validator("launcher")
    @classmethod
    def _launcher_is_torchrun(cls, launcher: str) -> str:
        try:
            words = shlex.split(launcher)
        except ValueError as error:
            raise ValueError(f"{launcher!r} is not a valid command line ({error})") from None
        if launcher and words[:1] != ["torchrun"]:
            raise ValueError(f'{launcher!r} must start with torchrun, or be "" for a single process')
        for word in words[1:]:
            if word.startswith("-") and word.partition("=")[0].replace("_", "-") not in TORCHRUN_OPTIONS:
                raise ValueError(f"{word} is not allowed; allowed options of torchrun: {', '.join(TORCHRUN_OPTIONS)}")
        return launcher
