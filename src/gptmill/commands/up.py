"""`gptmill up`: MLflow's and Prefect's pages, on 127.0.0.1, until Ctrl-C."""

import signal
import time

import typer

from gptmill.commands.watchdog import ended_by_signals
from gptmill.core.errors import GptmillError
from gptmill.core.terminal import say

app = typer.Typer()


@app.command()
def up(
    mlflow_port: int = typer.Option(5000, help="MLflow's port."),
    prefect_port: int = typer.Option(4200, help="Prefect's port."),
) -> None:
    """Start both servers, say where they are as soon as they answer, and stop both when one ends or Ctrl-C is pressed."""
    from gptmill.commands import servers

    with ended_by_signals() as signals:
        try:
            mlflow, prefect = servers.mlflow(mlflow_port), servers.prefect(prefect_port)
            say("Starting MLflow and Prefect; the first start takes half a minute.")
            with servers.running(mlflow, prefect) as started:
                say(f"MLflow:  {mlflow.url}\nPrefect: {prefect.url}\nCtrl-C stops both.")
                say(f"Flows show up there when they run with PREFECT_API_URL={prefect.settings['PREFECT_API_URL']}")
                while all(process.poll() is None for process in started):
                    time.sleep(0.5)
                raise GptmillError("a server has ended, so the other was stopped too; what it printed says why")
        except KeyboardInterrupt:
            raise typer.Exit(130 if signals == [signal.SIGINT] else 0) from None
