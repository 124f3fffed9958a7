"""MLflow's model registry: versions of the models, their aliases, and the model folder in each."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from gptmill.core import addresses
from gptmill.core.errors import GptmillError
from gptmill.registry import log_model, model_card
from gptmill.registry.model_kinds import MODEL_KINDS, ModelKind
from gptmill.tracking import locations, mlflow_client, replay
from gptmill.tracking.dvc_lock import dvc_hash

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

EXPERIMENT = "gptmill-promotion"
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
LONGEST_DESCRIPTION = 5000  # characters that MLflow takes
LONGEST_TAG = 5000


def exists() -> bool:
    """Whether there is a registry. To connect to one in this folder would make it."""
    return not locations.is_local() or (locations.home() / "mlflow.db").exists()


@contextmanager
def opened() -> Iterator["MlflowClient"]:
    """The registry. Its errors become `GptmillError`s that name it."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    store = locations.store()
    try:
        mlflow_client.clear_outage()
        yield mlflow_client.connect(store)
    except (MlflowException, RequestException, mlflow_client.NotAnswering) as error:
        raise GptmillError(
            f"MLflow at {addresses.redact_url(store)} failed: {replay.one_line(error)}. "
            "Start it, or unset MLFLOW_TRACKING_URI for the store in this folder"
        ) from None


def at(client: "MlflowClient", name: str, alias: str | None, number: str | None = None) -> "ModelVersion | None":
    """The version under an alias or number, if there is one."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, number)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def of_content(client: "MlflowClient", name: str, content: str) -> "list[ModelVersion]":
    versions = client.search_model_versions(f"name='{name}'")
    return [version for version in versions if version.tags.get(log_model.CONTENT) == content]


def newest(client: "MlflowClient", name: str, content: str) -> "ModelVersion | None":
    """The newest version with that content."""
    return max(of_content(client, name, content), key=lambda version: int(version.version), default=None)


def folder_of(version: "ModelVersion") -> AbstractContextManager[Path]:
    return downloaded(f"{version.name}/{version.version}")


@contextmanager
def downloaded(model: str) -> Iterator[Path]:
    """The model folder in an MLflow model (name/version, or id), on this machine while the block lasts."""
    from mlflow import artifacts

    with TemporaryDirectory(prefix="gptmill-") as folder:
        yield within(Path(artifacts.download_artifacts(f"models:/{model}", dst_path=folder)))


def within(mlflow_model: Path) -> Path:
    """The model folder in an MLflow model. Raises `GptmillError` when there is none."""
    folders = [path for path in (mlflow_model / "artifacts").glob("*") if path.is_dir()]
    if len(folders) != 1:
        raise GptmillError(f"{mlflow_model} is not a model that gptmill logged: it has no folder under artifacts/")
    return folders[0]


def register(client: "MlflowClient", kind: ModelKind, content: str, run: "Run") -> "ModelVersion":
    """The challenger: the version with the folder's content, which is made when it does not exist.

    Its model is the one that the run of its evaluation logged; when there is none, it is logged to `run`.
    """
    version = newest(client, kind.registered, content)
    if version is None:
        card = model_card.of_workspace(kind)
        logged = logged_model(client, content)
        if logged is None:
            info = log_model.log_model(run.info.run_id, kind.folder, kind.task, card)
            logged = client.get_logged_model(info.model_id)
        _create_registered(client, kind.registered)
        version = client.create_model_version(
            kind.registered,
            source=logged.artifact_location,
            run_id=logged.source_run_id,
            model_id=logged.model_id,
            description=_description(card),
            tags={log_model.CONTENT: content},
        )
    point(client, kind.registered, CHALLENGER, version.version)
    return version


def point(client: "MlflowClient", name: str, alias: str, version: str) -> None:
    """Set an alias, with retries: when two processes insert a new alias at once, MLflow's store fails one."""
    from mlflow.exceptions import MlflowException
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random

    limits = {"stop": stop_after_attempt(4), "wait": wait_random(0, 0.5), "reraise": True}
    retry = Retrying(retry=retry_if_exception_type(MlflowException), **limits)
    retry(client.set_registered_model_alias, name, alias, version)


def experiments(client: "MlflowClient") -> list[str]:
    """The ids of gptmill's experiments."""
    return [each.experiment_id for each in client.search_experiments(filter_string="name LIKE 'gptmill%'")]


def logged_model(client: "MlflowClient", content: str) -> Any:
    """A complete model of that content that a run has logged; None when there is none."""
    ids = experiments(client)
    if not ids:
        return None
    for model in client.search_logged_models(ids, filter_string=f"tags.`{log_model.CONTENT}` = '{content}'"):
        if model.status == "READY":
            with downloaded(model.model_id) as folder:
                if dvc_hash(folder) == content:  # the registered bytes are those that were measured
                    return model
    return None


def _create_registered(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    description = "Promoted by `gptmill promote`: the alias champion is the one in use."
    try:
        client.create_registered_model(name, description=description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _description(card: str) -> str:
    text = model_card.without_head(card)
    cut = "\n\n(The whole card is README.md among the model's artifacts.)"
    return text if len(text) <= LONGEST_DESCRIPTION else text[: LONGEST_DESCRIPTION - len(cut)] + cut


def tag(client: "MlflowClient", version: "ModelVersion", tags: Mapping[str, Any]) -> None:
    for key, value in tags.items():
        client.set_model_version_tag(version.name, version.version, key, str(value)[:LONGEST_TAG])


def registered(client: "MlflowClient", content: str) -> "list[ModelVersion]":
    """Every registered version with that content. MLflow's search leaves out aliases: each version is read again."""
    found = [version for kind in MODEL_KINDS.values() for version in of_content(client, kind.registered, content)]
    return [client.get_model_version(version.name, version.version) for version in found]
