"""Files that stages wrote, read as checked types. Whatever is wrong with one becomes one message that names the file and its stage."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gptmill.core import files
from gptmill.core.errors import GptmillError


class Record(BaseModel):
    """Strangers are welcome: a stage may measure more than the page shows."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


R = TypeVar("R", bound=Record)


def read_json(path: Path, kind: type[R], stage: str) -> R:
    """`stage`: the one that writes the file. Raises `GptmillError` when the file is missing or is not a `kind`."""
    with reading(path, stage):
        return kind.model_validate(files.read_json(path))


def read_jsonl(path: Path, kind: type[R], stage: str) -> list[R]:
    with reading(path, stage):
        return [kind.model_validate(record) for record in files.read_jsonl(path)]


def read_csv(path: Path, kind: type[R], stage: str) -> list[R]:
    with reading(path, stage), path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        # A header alone is what an untrained model leaves; no header at all is a broken file.
        missing = [
            name
            for name, field in kind.model_fields.items()
            if field.is_required() and name not in (reader.fieldnames or [])
        ]
        if missing:
            raise ValueError(f"it has no column {missing[0]}")
        return [kind.model_validate(row) for row in reader]


def different_runs(one: Path, other: Path) -> GptmillError:
    return GptmillError(f"{one} and {other} are from different runs. `dvc repro` makes anew what is out of date.")


@contextmanager
def reading(path: Path, stage: str) -> Iterator[None]:
    """Whatever is wrong with the file that is read meanwhile becomes a `GptmillError` that says what to run."""
    try:
        yield
    except FileNotFoundError:
        raise GptmillError(f"{path} is not here. `dvc repro {stage}` makes it.") from None
    except ValidationError as error:
        first = error.errors()[0]
        reason = f"{'.'.join(map(str, first['loc'])) or 'the whole of it'}: {first['msg']}"
    except (ValueError, csv.Error) as error:  # broken JSON and broken UTF-8 are ValueErrors
        reason = str(error)
    else:
        return
    raise GptmillError(
        f"{path} is not what {stage} writes ({reason}). Delete it and run `dvc repro {stage}`, which makes it anew."
    )
