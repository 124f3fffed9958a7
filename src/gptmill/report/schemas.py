"""Reads stages' outputs as validated types. Every error becomes one message that names the file and its stage."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gptmill.core import files
from gptmill.core.errors import GptmillError


class Record(BaseModel):
    """Unknown fields are ignored: a stage may write more than the page shows."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


R = TypeVar("R", bound=Record)


def read_json(path: Path, kind: type[R], stage: str) -> R:
    """`stage`: the one that writes the file. Raises `GptmillError` for a missing or invalid file."""
    with reading(path, stage):
        return kind.model_validate(files.read_json(path))


def read_jsonl(path: Path, kind: type[R], stage: str) -> list[R]:
    with reading(path, stage):
        return [kind.model_validate(record) for record in files.read_jsonl(path)]


def read_csv(path: Path, kind: type[R], stage: str) -> list[R]:
    with reading(path, stage), path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        # A header alone is valid (an untrained model), no header is not.
        for name, field in kind.model_fields.items():
            if field.is_required() and name not in (reader.fieldnames or []):
                raise ValueError(f"it has no column {name}")
        return [kind.model_validate(row) for row in reader]


def different_runs(one: Path, other: Path) -> GptmillError:
    return GptmillError(f"{one} and {other} are from different runs. `dvc repro` rebuilds what is out of date.")


@contextmanager
def reading(path: Path, stage: str) -> Iterator[None]:
    """Turns errors of reading the file into a `GptmillError` that says what to run."""
    try:
        yield
    except FileNotFoundError:
        raise GptmillError(f"{path} not found. `dvc repro {stage}` makes it.") from None
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
    except (ValueError, csv.Error) as error:  # broken JSON and broken UTF-8 are ValueErrors
        reason = str(error)
    else:
        return
    raise GptmillError(
        f"{path} is not what {stage} writes ({reason}). Delete it and run `dvc repro {stage}`, which rebuilds it."
    )
