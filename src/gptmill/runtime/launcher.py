"""`compute.launcher`: a stage that starts several processes of itself by torchrun, and ends as they do.

The stage is torchrun then, not the parent of one: it waits for its processes, passes SIGINT and SIGTERM on to them, and ends the rest when
one of them fails. What a person sees is the first process' output, and one message when something went wrong, from whichever process.

    launch("torchrun --standalone --nproc-per-node 2", "pretrain", ["-m", "gptmill", "stage", "pretrain"])     in the stage
    as_rank(work)                                                                                             in each of its processes
"""

import logging
import os
import shlex
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from gptmill.core.errors import GptmillError, explain
from gptmill.core.terminal import say

_PARENT = "GPTMILL_LAUNCHED_BY"  # process id of the stage, for its processes
_PATIENCE = (
    "300"  # seconds for one that was asked to stop to end its evaluation and write a checkpoint, before it is killed
)
_LAST_WORDS = 5.0  # seconds that one who lost the others waits, not to be taken for the one that failed


def launch(command: str, stage: str, program: Sequence[str]) -> None:
    """Run `program` (what follows `python`) in the processes that the torchrun command line asks for, and wait for them.

    Raises `GptmillError` with what the first process to fail said, and `SystemExit` with 128 + signal when they were asked to stop.
    """
    import torch
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.disable(logging.ERROR)  # torchrun tells of each process that ends; what there is to say is said below
    try:
        with tempfile.TemporaryDirectory(prefix="gptmill-") as logs:
            args = _parse(["--local-ranks-filter", "0", "--log-dir", logs, *shlex.split(command)[1:], *program])
            if args.training_script not in program:
                raise GptmillError(
                    "compute.launcher names a program: torchrun and its options are all that belongs there"
                )
            # The processes share the threads that one of them would take; torchrun would give each a single one.
            threads = max(1, torch.get_num_threads() // run.determine_local_world_size(args.nproc_per_node))
            os.environ.setdefault("OMP_NUM_THREADS", str(threads))
            os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", _PATIENCE)
            os.environ[_PARENT] = str(os.getpid())
            run.run(args)
    except ChildFailedError as error:
        _raise(stage, error.failures)
    except SignalException as stopped:
        sys.exit(128 + stopped.sigval)  # the first process has said where it stopped
    finally:
        logging.disable(logging.NOTSET)


def as_rank(work: Callable[[], None]) -> None:
    """Do the work of one process, leave what goes wrong to the stage that started it, and end when that stage is no more."""
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    from gptmill.runtime.distributed import PeerLost

    parent = int(os.environ.get(_PARENT, os.getppid()))
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()
    try:
        work()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:  # noqa: BLE001 - whatever it is, the stage says it
        if isinstance(error, PeerLost):
            time.sleep(_LAST_WORDS)
        elif message := explain(error):
            error = GptmillError(message)
        get_error_handler().record_exception(error)
        sys.exit(1)


def _end_with(parent: int) -> None:
    """End this process at once when its parent has ended: whoever starts the stage again must find nobody at work in its folders."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def _parse(words: list[str]) -> Any:
    """torchrun's own arguments. Raises `GptmillError` with what it says of a bad one."""
    from torch.distributed import run

    said = StringIO()
    try:
        with redirect_stderr(said):
            args = run.parse_args(words)
            run.determine_local_world_size(args.nproc_per_node)
    except (SystemExit, ValueError) as error:
        why = said.getvalue().strip().splitlines()[-1:] or [str(error)]
        raise GptmillError(f"compute.launcher: {why[0]}. `torchrun --help` lists its options") from None
    return args


def _raise(stage: str, failures: Mapping[int, Any]) -> None:
    """Raise what the process said whose failure made the others fail."""

    def said(failure: Any) -> Mapping[str, Any]:
        message = failure.error_file_data.get("message")
        return message if isinstance(message, dict) else {}

    def follows(failure: Any) -> bool:
        return failure.exitcode == -signal.SIGTERM or said(failure).get("message", "").startswith("PeerLost")

    rank, failure = min(failures.items(), key=lambda item: (follows(item[1]), item[0]))
    stops = {128 + number for number in (signal.SIGINT, signal.SIGTERM)}
    if not said(failure) and failure.exitcode in stops:
        sys.exit(failure.exitcode)
    who = f"{stage}: process {rank} of those that compute.launcher started"
    if not said(failure):
        if failure.exitcode == -signal.SIGKILL:
            raise GptmillError(
                f"{who} was killed. The machine may have run out of memory: ask for fewer processes, or smaller batches"
            )
        raise GptmillError(
            f"{who} ended with {failure.signal_name() if failure.exitcode < 0 else f'exit code {failure.exitcode}'}"
        )
    kind, _, message = said(failure)["message"].partition(": ")
    if kind != "GptmillError":
        say(said(failure)["extraInfo"]["py_callstack"], err=True)
        message = f"{who} failed with {kind}: {message}"
    raise GptmillError(message)
