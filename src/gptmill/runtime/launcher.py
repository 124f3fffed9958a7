"""`compute.launcher`: a stage runs as several processes by torchrun.

The stage's process is torchrun itself: it waits for its processes, forwards SIGINT and SIGTERM, and ends the rest when
one fails. The output is rank 0's, and one error message, from the process that failed. The stage calls

    launch("torchrun --standalone --nproc-per-node 2", "pretrain", ["-m", "gptmill", "stage", "pretrain"])

and each of its processes `as_rank(work)`.
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
_SHUTDOWN_TIMEOUT = "300"  # seconds after a signal to end an evaluation and save a checkpoint, before SIGKILL
_PEER_LOST_DELAY = 5.0  # seconds before a process that lost a peer fails, so that the peer's failure is the first


def launch(command: str, stage: str, program: Sequence[str]) -> None:
    """Run `program` (arguments of `python`) in the processes of a torchrun command line, and wait for them.

    Raises `GptmillError` with the message of the first process that failed, and `SystemExit` with 128 + signal.
    """
    import torch
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.disable(logging.ERROR)  # torchrun logs each process that ends; one message is enough
    try:
        with tempfile.TemporaryDirectory(prefix="gptmill-") as logs:
            args = _parse(["--local-ranks-filter", "0", "--log-dir", logs, *shlex.split(command)[1:], *program])
            if args.training_script not in program:
                raise GptmillError(
                    "compute.launcher names a program: torchrun and its options are all that belongs there"
                )
            # The processes share the threads of one process; torchrun would give each a single thread.
            threads = max(1, torch.get_num_threads() // run.determine_local_world_size(args.nproc_per_node))
            os.environ.setdefault("OMP_NUM_THREADS", str(threads))
            os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", _SHUTDOWN_TIMEOUT)
            os.environ[_PARENT] = str(os.getpid())
            run.run(args)
    except ChildFailedError as error:
        _raise(stage, error.failures)
    except SignalException as stopped:
        sys.exit(128 + stopped.sigval)  # rank 0 has printed where it stopped
    finally:
        logging.disable(logging.NOTSET)


def as_rank(work: Callable[[], None]) -> None:
    """Do the work of one process. Errors are recorded for the stage that started it; ends when that stage has ended."""
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    from gptmill.runtime.distributed import PeerLost

    parent = int(os.environ.get(_PARENT, os.getppid()))
    threading.Thread(target=_exit_with, args=[parent], daemon=True).start()
    try:
        work()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:  # noqa: BLE001 - the stage reports it
        if isinstance(error, PeerLost):
            time.sleep(_PEER_LOST_DELAY)
        elif message := explain(error):
            error = GptmillError(message)
        get_error_handler().record_exception(error)
        sys.exit(1)


def _exit_with(parent: int) -> None:
    """Kill this process when its parent has ended: it must not write beside a stage that is started again."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGKILL)


def _parse(arguments: list[str]) -> Any:
    """torchrun's parsed arguments. Raises `GptmillError` with its message about an invalid one."""
    from torch.distributed import run

    stderr = StringIO()
    try:
        with redirect_stderr(stderr):
            args = run.parse_args(arguments)
            run.determine_local_world_size(args.nproc_per_node)
    except (SystemExit, ValueError) as error:
        [message] = stderr.getvalue().strip().splitlines()[-1:] or [str(error)]
        raise GptmillError(f"compute.launcher: {message}. `torchrun --help` lists its options") from None
    return args


def _raise(stage: str, failures: Mapping[int, Any]) -> None:
    """Raise the error of the process whose failure made the others fail."""

    def recorded(failure: Any) -> Mapping[str, Any]:
        message = failure.error_file_data.get("message")
        return message if isinstance(message, dict) else {}

    def follows(failure: Any) -> bool:
        return failure.exitcode == -signal.SIGTERM or recorded(failure).get("message", "").startswith("PeerLost")

    rank, failure = min(failures.items(), key=lambda item: (follows(item[1]), item[0]))
    who = f"{stage}: process {rank} of those that compute.launcher started"
    if not (error := recorded(failure)):
        if failure.exitcode in (128 + signal.SIGINT, 128 + signal.SIGTERM):
            sys.exit(failure.exitcode)
        if failure.exitcode == -signal.SIGKILL:
            raise GptmillError(
                f"{who} was killed. The machine may have run out of memory: ask for fewer processes, or smaller batches"
            )
        end = failure.signal_name() if failure.exitcode < 0 else f"exit code {failure.exitcode}"
        raise GptmillError(f"{who} ended with {end}")
    kind, _, message = error["message"].partition(": ")
    if kind != "GptmillError":
        say(error["extraInfo"]["py_callstack"], err=True)
        message = f"{who} failed with {kind}: {message}"
    raise GptmillError(message)
