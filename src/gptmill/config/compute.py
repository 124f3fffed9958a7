"""The section `compute`: on what a run works, and in how many processes. Nothing of it changes a result but for the last digits of sums."""

import shlex
from typing import Annotated, Literal

from pydantic import Field, field_validator

from gptmill.config.section import Section

# Those that neither start another program nor write files: no --log-dir, no --rdzv-conf (store_type=file makes one).
TORCHRUN_OPTIONS = (
    "--standalone", "--nproc-per-node", "--nnodes", "--node-rank", "--master-addr", "--master-port", "--local-addr",
    "--rdzv-backend", "--rdzv-endpoint", "--rdzv-id", "--max-restarts", "--monitor-interval", "--start-method", "--role",
    "--numa-binding",
)  # fmt: skip


class ComputeParams(Section):
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto: the fastest that is there")
    precision: Literal["auto", "float32", "bf16"] = Field(
        "auto", description="auto: bf16 where the device is known to be fast at it"
    )
    threads: Annotated[int, Field(ge=0)] = Field(
        0, description="CPU threads of torch in each process and of tokenizing; 0: one a core"
    )
    launcher: str = Field(
        "",
        description='"": a training is one process; or a command such as torchrun --standalone --nproc-per-node 2, that starts several',
    )
    checkpoint_activations: bool = Field(
        False, description="true: train in less memory, a third slower, with the same result"
    )
    checkpoint_minutes: Annotated[float, Field(ge=0)] = Field(
        5.0,
        description="a training that is killed loses no more than this; 0: a checkpoint after every step. No influence on the result",
    )

    @field_validator("launcher")
    @classmethod
    def _launcher_is_torchrun(cls, launcher: str) -> str:
        try:
            words = shlex.split(launcher)
        except ValueError as error:
            raise ValueError(f"{launcher!r} is no command line ({error})") from None
        if launcher and words[:1] != ["torchrun"]:
            raise ValueError(f'{launcher!r} must start with torchrun, or be "" for a single process')
        for word in words[1:]:
            if word.startswith("-") and word.partition("=")[0].replace("_", "-") not in TORCHRUN_OPTIONS:
                raise ValueError(
                    f"{word} is not allowed; of torchrun's options these are: {', '.join(TORCHRUN_OPTIONS)}"
                )
        return launcher
