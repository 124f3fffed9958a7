"""`lineage.json`, in every model folder: of which bytes and params its weights were made. It travels with the model.

It holds what decides the weights, and nothing that would differ in a second run: no time, host, path, commit or run. Nor the code's hash:
a comment that changes would make another model of the same weights, and everything after it would run again. Those are found from
dvc.lock, git and MLflow: see `provenance`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from gptmill.config import flatten
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError

_NOT_DECISIVE = "compute"  # how fast, on which device; not what comes out, but for the last digits


@dataclass(frozen=True)
class Lineage:
    """What `lineage.json` says."""

    FILE: ClassVar = "lineage.json"
    WEIGHTS: ClassVar = "model.safetensors"

    stage: str
    weights: str  # SHA-256 of the file with the weights
    params: dict[str, Any]  # dotted key -> value, of what decided the training
    data: dict[str, str]  # path -> md5, as DVC knows the file
    sources: dict[str, dict[str, Any]]  # data set -> name, origin, licence, sha256 and bytes of what was fetched
    base: "Lineage | None" = None  # of the model that it was tuned from

    def all_sources(self) -> dict[str, dict[str, Any]]:
        """Its own, and those of the models before it."""
        return {**(self.base.all_sources() if self.base else {}), **self.sources}

    @classmethod
    def of_stage(
        cls,
        stage: str,
        sections: Mapping[str, BaseModel | int | str | list[str]],
        inputs: Iterable[Path],
        data_sets: Sequence[str],
        base: Path | None = None,
        downloaded: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> "Lineage":
        """What a stage knows of its model before it writes the weights.

        `inputs`: files, or folders of them; `data_sets`: of which data/raw/<name>.source.json tells; `base`: the folder of the model
        that it was tuned from; `downloaded`: what the weights began with when they were made elsewhere, as a source record.
        """
        sources = {name: files.read_json(paths.source_record(name)) for name in data_sets}
        return cls(
            stage=stage,
            weights="",
            params={key: value for key, value in flatten(sections) if key.partition(".")[0] != _NOT_DECISIVE},
            data={str(path): files.digest(path, "md5") for place in inputs for path in files.list_files(place)},
            sources={**sources, **{name: dict(record) for name, record in (downloaded or {}).items()}},
            base=cls.read(base) if base else None,
        )

    def write(self, folder: Path) -> "Lineage":
        """Write `lineage.json` beside weights that stand in the folder already; returns it with their hash."""
        whole = replace(self, weights=files.digest(folder / self.WEIGHTS))
        files.write_json(folder / self.FILE, asdict(whole))
        return whole

    @classmethod
    def read(cls, folder: Path) -> "Lineage | None":
        """What a model folder says of itself; None when it says nothing. Raises `GptmillError` when what it says can't be read."""
        path = folder / cls.FILE
        try:
            return _parsed(files.read_json(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise GptmillError(f"{path} can't be read as a lineage ({error}): `dvc repro` writes it anew") from None


def _parsed(said: Any) -> Lineage:
    parts = {name: dict(said[name]) for name in ("params", "data", "sources")}
    parts["sources"] = {name: dict(record) for name, record in parts["sources"].items()}
    return Lineage(
        str(said["stage"]), str(said["weights"]), **parts, base=_parsed(said["base"]) if said["base"] else None
    )
