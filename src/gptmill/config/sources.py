"""`data.corpus`, `data.spam`, `data.instructions`: where each data set comes from, and how its file is read."""

import re
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, model_validator

from gptmill.config import source_overlaps
from gptmill.config.rendering import scalar
from gptmill.config.section import PositiveInt, Section
from gptmill.core import addresses, paths

if TYPE_CHECKING:
    from gptmill.config.data import DataParams

MAX_NAME_BYTES = 200  # file systems allow 255, and temporary names are longer
FILE = re.compile(r"[A-Za-z0-9][\w.-]*\.(txt|csv|tsv|jsonl|json|parquet)")
RECORDS = ("csv", "tsv", "jsonl", "json", "parquet")  # one record per row; a txt is for the corpus alone
ORIGIN_KEYS = ("urls", "member", "sha256", "licence", "max_megabytes")  # the other keys say how the file is read
Name = Annotated[str, Field(min_length=1)]
FILE_HELP = "name in data/raw/<set>/; its extension is the format: txt, csv, tsv, jsonl, json or parquet"
COLUMNS_HELP = "column names of a csv or tsv without a header line"


class SourceParams(Section):
    """What the three data sets have in common."""

    extensions: ClassVar[tuple[str, ...]] = RECORDS

    file: str = Field("", description=FILE_HELP)
    urls: list[str] = Field(
        [], description="paths, globs, folders or URLs (http, https, s3), tried in order; none: the sample"
    )
    member: str = Field("", description="file in the zip or tar, if it has several; a glob for the corpus")
    sha256: str = Field("", description="of the download; empty: any is accepted and its hash recorded")
    licence: str = Field("", description="of the data; goes into source.json and the data card")
    max_megabytes: PositiveInt = Field(1024, description="limit of the download and of what it unpacks to")
    columns: list[Name] = Field([], description=COLUMNS_HELP)
    quotes: bool = Field(False, description='csv and tsv: "…" keeps separators and line ends inside a field')

    @model_validator(mode="after")
    def _can_be_fetched_and_read(self) -> Self:
        problems = []
        if not FILE.fullmatch(self.file) or self.file.endswith(".source.json"):
            problems.append(
                f"file ({self.file!r}) must be a name without folders that ends in "
                ".txt, .csv, .tsv, .jsonl, .json or .parquet"
            )
        elif len(self.file.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
            problems.append(f"file ({self.file[:40]}…) must have a name of at most {MAX_NAME_BYTES} bytes")
        elif self.extension not in self.extensions:
            problems.append(f"file ({self.file}) must be one of {', '.join(self.extensions)}: a record has columns")
        problems += [f"urls: {why}" for why in map(addresses.problem, self.urls) if why]
        if self.sha256 and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            problems.append("sha256 must be 64 hexadecimal digits in lower case, or empty")
        if self.columns and self.extension not in ("csv", "tsv"):
            problems.append(f"columns are for a csv or tsv without a header line; {self.file} names its columns itself")
        if len(set(self.columns)) < len(self.columns):
            problems.append(f"columns ({', '.join(self.columns)}) must name each column once")
        fields = self.columns_by_field()
        if self.extension != "txt":
            if len(set(fields.values())) < len(fields):
                problems.append(f"{' and '.join(fields)} must be different columns")
            problems += [
                f"{field} ({column}) must be one of columns: {', '.join(self.columns)}"
                for field, column in fields.items()
                if self.columns and column not in self.columns and field != "input"
            ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def extension(self) -> str:
        return self.file.rpartition(".")[2]

    def columns_by_field(self) -> dict[str, str]:
        """Field of a record -> the column that holds it."""
        raise NotImplementedError


class CorpusParams(SourceParams):
    extensions = ("txt", *RECORDS)

    file: str = Field("corpus.txt", description=FILE_HELP)
    text: Name = Field("text", description="column of the documents; a txt has none")

    def columns_by_field(self) -> dict[str, str]:
        return {"text": self.text}


class SpamParams(SourceParams):
    file: str = Field("spam.tsv", description=FILE_HELP)
    columns: list[Name] = Field(["label", "text"], description=COLUMNS_HELP)
    text: Name = Field("text", description="column of the messages")
    label: Name = Field("label", description="column of their classes")
    labels: Annotated[list[Name], Field(min_length=2)] = Field(
        ["ham", "spam"], description="the classes in the order of their ids; of two, the last is the positive one"
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
    instruction: Name = Field("instruction", description="column or key of the instructions")
    input: Name = Field("input", description="column or key of their inputs; may be missing")
    output: Name = Field("output", description="column or key of the answers")

    def columns_by_field(self) -> dict[str, str]:
        return {"instruction": self.instruction, "input": self.input, "output": self.output}


def problems(data: "DataParams") -> list[str]:
    """Settings of the three data sets that contradict `data.source` or each other, by key."""
    sections = {name: getattr(data, name) for name in paths.DATA_SETS}
    result = []
    if data.source == "custom" and not any(section.urls for section in sections.values()):
        result.append(
            "data.source custom needs data.corpus.urls, data.spam.urls or data.instructions.urls: where your data is"
        )
    for name, section in sections.items():
        if data.source == "custom" and section.urls:
            result += [f"data.{name}.urls: {why}" for why in map(_output_problem, section.urls) if why]
            continue
        if section.urls:
            result.append(
                f"data.{name}.urls is for data.source custom, and data.source is {data.source}: change one of them"
            )
        made_by = f"data.source is {data.source}"
        if data.source == "custom":
            made_by = f"data.{name}.urls is empty, so the sample stands in"
        for key, field in type(section).model_fields.items():  # the sample and the book's files are as the defaults say
            if key not in ORIGIN_KEYS and getattr(section, key) != field.default:
                result.append(f"data.{name}.{key} must be {scalar(field.default)} as {made_by}")
    names = [section.file.casefold() for section in sections.values()]
    if len(set(names)) < len(names):
        result.append("data.corpus.file, data.spam.file and data.instructions.file must be different names")
    return result


def _output_problem(address: str) -> str | None:
    output = source_overlaps.overlapping_output(address)
    return output and (
        f"{address} would be read from {output}/, which runs write and remove: keep your own files elsewhere, "
        f"or have them copied to {paths.SOURCES}/: gptmill data add"
    )
