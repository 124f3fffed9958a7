"""`lineage.json`, in every model folder: the data and params that its weights were trained from.

It has nothing that a second run would change: no time, host, path, commit or run. Nor a hash of the code: after an
edited comment all later stages would run again. `registry/provenance.py` finds those in dvc.lock, git and MLflow.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from gptmill.config import flatten
from gptmill.core import files, paths
from gptmill.core.errors import GptmillError

_NOT_DECISIVE = "compute"  # speed and device: no influence but on the last digits of sums


@dataclass(frozen=True)
class Lineage:
    """Content of `lineage.json`."""

    FILE: ClassVar = "lineage.json"
    WEIGHTS: ClassVar = "model.safetensors"

    stage: str
    weights: str  # SHA-256 of model.safetensors
    params: dict[str, Any]  # dotted key -> value
    data: dict[str, str]  # path -> md5, as DVC knows the file
    sources: dict[str, dict[str, Any]]  # data set -> name, origin, licence, sha256 and bytes of the download
    base: "Lineage | None" = None  # of the base model

    def all_sources(self) -> dict[str, dict[str, Any]]:
        """Sources of this model and its base models."""
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
        """The lineage of a stage's model, without the hash of its weights.

        `inputs`: files, or folders of them; `data_sets`: names of data/raw/<name>.source.json; `base`: the base model's
        folder; `downloaded`: source records of downloaded weights.
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

    def write(self, folder: Path) -> None:
        """Write `lineage.json`, with the hash of the weights, into a folder that has them."""
        files.write_json(folder / self.FILE, asdict(replace(self, weights=files.digest(folder / self.WEIGHTS))))

    @classmethod
    def read(cls, folder: Path) -> "Lineage | None":
        """A model folder's lineage, None when it has none. Raises `GptmillError` when it can't be read."""
        path = folder / cls.FILE
        try:
            return _parse(files.read_json(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise GptmillError(f"{path} can't be read as a lineage ({error}): `dvc repro` writes it anew") from None


def _parse(content: Any) -> Lineage:
    params, data = dict(content["params"]), dict(content["data"])
    sources = {name: dict(record) for name, record in dict(content["sources"]).items()}
    base = _parse(content["base"]) if content["base"] else None
    return Lineage(str(content["stage"]), str(content["weights"]), params, data, sources, base)
