"""MLflow's and Prefect's pages, on 127.0.0.1, until Ctrl-C:  python -m pipelines.ui"""

import os
import signal
import subprocess
import sys
import time

import typer

from gptmill import tracking

HOST = "127.0.0.1"


def main(
    mlflow_port: int = typer.Option(5000, help="MLflow's port."),
    prefect_port: int = typer.Option(4200, help="Prefect's port."),
) -> None:
    """Start both servers, say where they are, and stop both when one ends or Ctrl-C is pressed."""
    api = f"http://{HOST}:{prefect_port}/api"
    servers = {
        "MLflow": ["mlflow", "server", "--backend-store-uri", tracking.store(), "--host", HOST, "--port", str(mlflow_port)],
        "Prefect": ["prefect", "server", "start", "--host", HOST, "--port", str(prefect_port)],
    }
    environment = {
        **os.environ,
        "PREFECT_API_URL": api,
        "PREFECT_UI_API_URL": api,
    }  # Prefect's page asks port 4200 otherwise, whatever its own
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    processes = [subprocess.Popen([sys.executable, "-m", *command], env=environment) for command in servers.values()]
    try:
        typer.echo(f"MLflow:  http://{HOST}:{mlflow_port}\nPrefect: http://{HOST}:{prefect_port}\nCtrl-C stops both.")
        typer.echo(f"Flows show up there when they run with PREFECT_API_URL={api}")
        while all(process.poll() is None for process in processes):
            time.sleep(0.5)
    except KeyboardInterrupt:
        pass
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=30)


if __name__ == "__main__":
    typer.run(main)
