"""`gptmill up`: MLflow's and Prefect's servers on 127.0.0.1, until Ctrl-C."""

import signal
import time

import typer

from gptmill.commands.watchdog import interrupt_on_signals
from gptmill.core.errors import GptmillError
from gptmill.core.terminal import say

app = typer.Typer()


@app.command()
def up(
    mlflow_port: int = typer.Option(5000, help="MLflow's port."),
    prefect_port: int = typer.Option(4200, help="Prefect's port."),
) -> None:
    """Start MLflow and Prefect, print their addresses when they answer, and stop both on Ctrl-C or when one ends."""
    from gptmill.commands import servers

    with interrupt_on_signals() as signals:
        try:
            mlflow, prefect = servers.mlflow(mlflow_port), servers.prefect(prefect_port)
            say("Starting MLflow and Prefect; the first start takes half a minute.")
            with servers.running(mlflow, prefect) as processes:
                say(f"MLflow:  {mlflow.url}\nPrefect: {prefect.url}\nCtrl-C stops both.")
                say(f"Flows appear there when run with PREFECT_API_URL={prefect.settings['PREFECT_API_URL']}")
                while all(process.poll() is None for process in processes):
                    time.sleep(0.5)
                raise GptmillError("a server has ended, so the other was stopped too; see its output")
        except KeyboardInterrupt:
            raise typer.Exit(130 if signals == [signal.SIGINT] else 0) from None
