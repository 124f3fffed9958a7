"""`data.corpus`, `data.spam`, `data.instructions`: where each data set comes from, and how its file is read."""

import re
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from gptmill.config import overlaps
from gptmill.config.section import PositiveInt, Section
from gptmill.core import addresses, paths

if TYPE_CHECKING:
    from gptmill.config.data import DataParams

LONGEST_NAME = 200  # bytes; file systems allow 255, and a name gets some more while its file is written
FILE = re.compile(r"[A-Za-z0-9][\w.-]*\.(txt|csv|tsv|jsonl|json|parquet)")
RECORDS = (
    "csv",
    "tsv",
    "jsonl",
    "json",
    "parquet",
)  # the files of which each row is a record; a txt is for the corpus alone
Name = Annotated[str, Field(min_length=1)]
FILE_HELP = "its name in data/raw/<set>/; the ending says how it is read: txt, csv, tsv, jsonl, json or parquet"
COLUMNS_HELP = "names of the columns of a csv or tsv without a header line"


class SourceParams(Section):
    """What the three data sets have in common."""

    file: str = Field("", description=FILE_HELP)
    urls: list[str] = Field(
        [],
        description="source custom: path, glob, folder or address (http, https, s3), tried in order until one answers; none: the sample's",
    )
    member: str = Field(
        "",
        description="which file of an archive (zip or tar), empty when there is only one; may be a glob for the corpus",
    )
    sha256: str = Field("", description="of what is fetched; empty takes what comes, and says what it was")
    licence: str = Field("", description="what one may do with it; goes into source.json and the data card")
    max_megabytes: PositiveInt = Field(1024, description="neither download nor what it unpacks to may be larger")
    columns: list[Name] = Field([], description=COLUMNS_HELP)
    quotes: bool = Field(False, description='csv and tsv: whether "…" keeps separators and line ends inside a field')

    @model_validator(mode="after")
    def _can_be_fetched_and_read(self) -> Self:
        problems = []
        if not FILE.fullmatch(self.file) or self.file.endswith(".source.json"):
            problems.append(
                f"file ({self.file!r}) must be a name without folders that ends in .txt, .csv, .tsv, .jsonl, .json or .parquet"
            )
        elif len(self.file.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
            problems.append(f"file ({self.file[:40]}…) must have a name of at most {LONGEST_NAME} bytes")
        elif self.extension not in self._extensions():
            problems.append(f"file ({self.file}) must be one of {', '.join(self._extensions())}: a record has columns")
        problems += [f"urls: {why}" for why in map(addresses.problem, self.urls) if why]
        if self.sha256 and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            problems.append("sha256 must be 64 hexadecimal digits in lower case, or empty")
        if self.columns and self.extension not in ("csv", "tsv"):
            problems.append(f"columns are for a csv or tsv without a header line; {self.file} names its columns itself")
        if len(set(self.columns)) < len(self.columns):
            problems.append(f"columns ({', '.join(self.columns)}) must name each column once")
        wanted = self.columns_by_field()
        if self.extension != "txt":
            if len(set(wanted.values())) < len(wanted):
                problems.append(f"{' and '.join(wanted)} must be different columns")
            problems += [
                f"{field} ({column}) must be one of columns: {', '.join(self.columns)}"
                for field, column in wanted.items()
                if self.columns and column not in self.columns and field != "input"
            ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def extension(self) -> str:
        return self.file.rpartition(".")[2]

    def columns_by_field(self) -> dict[str, str]:
        """What is read, and the column that it stands in."""
        raise NotImplementedError

    @staticmethod
    def _extensions() -> tuple[str, ...]:
        return RECORDS


class CorpusParams(SourceParams):
    file: str = Field("corpus.txt", description=FILE_HELP)
    text: Name = Field("text", description="the column that holds the documents; a txt has none")

    def columns_by_field(self) -> dict[str, str]:
        return {"text": self.text}

    @staticmethod
    def _extensions() -> tuple[str, ...]:
        return ("txt", *RECORDS)


class SpamParams(SourceParams):
    file: str = Field("spam.tsv", description=FILE_HELP)
    columns: list[Name] = Field(["label", "text"], description=COLUMNS_HELP)
    text: Name = Field("text", description="the column that holds the messages")
    label: Name = Field("label", description="the column that holds their classes")
    labels: Annotated[list[Name], Field(min_length=2)] = Field(
        ["ham", "spam"],
        description="the classes, in the order of their numbers; the last one is what precision and recall are about when there are two",
    )

    @model_validator(mode="after")
    def _each_label_once(self) -> Self:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError(f"labels ({', '.join(self.labels)}) must name each class once")
        return self

    def columns_by_field(self) -> dict[str, str]:
        return {"label": self.label, "text": self.text}


class InstructionsParams(SourceParams):
    file: str = Field("instructions.json", description=FILE_HELP)
    instruction: Name = Field("instruction", description="the column or key that holds the instructions")
    input: Name = Field(
        "input", description="the column or key that holds what an instruction is about; it may be missing"
    )
    output: Name = Field("output", description="the column or key that holds the answers")

    def columns_by_field(self) -> dict[str, str]:
        return {"instruction": self.instruction, "input": self.input, "output": self.output}


# How the sample and the book's files are written.
STANDARD: dict[str, dict[str, Any]] = {
    "corpus": {"file": "corpus.txt", "columns": [], "quotes": False, "text": "text"},
    "spam": {
        "file": "spam.tsv", "columns": ["label", "text"], "quotes": False, "text": "text", "label": "label", "labels": ["ham", "spam"],
    },
    "instructions": {
        "file": "instructions.json", "columns": [], "quotes": False, "instruction": "instruction", "input": "input", "output": "output",
    },
}  # fmt: skip


def problems(data: "DataParams") -> list[str]:
    """What of the three data sets does not fit to `data.source` or to one another, with its keys."""
    sections = {name: getattr(data, name) for name in STANDARD}
    found = []
    if data.source == "custom" and not any(section.urls for section in sections.values()):
        found.append(
            "data.source custom needs data.corpus.urls, data.spam.urls or data.instructions.urls: where your data is"
        )
    for name, section in sections.items():
        if data.source == "custom" and section.urls:
            found += [f"data.{name}.urls: {why}" for why in map(_written_here, section.urls) if why]
            continue
        if section.urls:
            found.append(
                f"data.{name}.urls is for data.source custom, and data.source is {data.source}: change one of them"
            )
        made_by = (
            f"data.source is {data.source}"
            if data.source != "custom"
            else f"data.{name}.urls is empty, so the sample stands in"
        )
        for key, value in STANDARD[name].items():
            if getattr(section, key) != value:
                found.append(f"data.{name}.{key} must be {_yaml(value)} as {made_by}")
    names = [section.file.casefold() for section in sections.values()]
    if len(set(names)) < len(names):
        found.append("data.corpus.file, data.spam.file and data.instructions.file must be different names")
    return found


def _written_here(address: str) -> str | None:
    output = overlaps.overlapping_output(address)
    if output is None:
        return None
    return (
        f"{address} would be read from {output}/, which runs write and remove: keep your own files elsewhere, or have them copied to "
        f"{paths.SOURCES}/: gptmill data add"
    )


def _yaml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    return str(value).lower() if isinstance(value, bool) else value
