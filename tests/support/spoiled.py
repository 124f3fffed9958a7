"""Spoiled inputs, each made by code: what a person or a server may hand over in place of data. test_spoiled_inputs.py runs them all."""

import gzip
import hashlib
import io
import json
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# How the sample and the book's files are written.
STANDARD = {
    "corpus": {"file": "corpus.txt", "columns": [], "quotes": False, "text": "text"},
    "spam": {
        "file": "spam.tsv", "columns": ["label", "text"], "quotes": False,
        "text": "text", "label": "label", "labels": ["ham", "spam"],
    },
    "instructions": {
        "file": "instructions.json", "columns": [], "quotes": False,
        "instruction": "instruction", "input": "input", "output": "output",
    },
}  # fmt: skip
LABELS = ["sports", "politics", "tech", "food"]
CSV = {"file": "topics.csv", "columns": [], "quotes": True, "text": "body", "label": "topic", "labels": LABELS}


@dataclass(frozen=True)
class Spoiled:
    """`make` is the bytes of the file `name`, or writes what it likes into the folder that it gets. It ends with an error that matches
    `error`, or with the rows in quarantine whose numbers `quarantined` gives, with what stands in their reasons."""

    make: bytes | Callable[[Path], None]
    error: str = ""
    quarantined: dict[int, str] = field(default_factory=dict)
    data_set: str = "spam"
    name: str = "topics.csv"
    params: dict = field(default_factory=dict)


def rows(count: int = 40) -> list[tuple[str, str]]:
    return [(f"Text number {n}, it says", LABELS[n % 4]) for n in range(count)]


def table(count: int = 40, header: str = "body,topic", separator: str = ",", end: str = "\n") -> str:
    quoted = [f'"{body}"{separator}{topic}' for body, topic in rows(count)]
    return end.join([header.replace(",", separator), *quoted]) + end


GOOD = table().encode()
RECORDS = [{"body": body, "topic": topic} for body, topic in rows()]
INSTRUCTIONS = [{"instruction": f"Count to {n}.", "input": "", "output": "1 2 3"} for n in range(40)]


def zipped(*members: tuple[str, bytes], **changes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in changes.items():
                setattr(info, key, value)
            archive.writestr(info, content)
    return buffer.getvalue()


def tarred(*members: tuple[str, bytes], **changes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in changes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def encrypted() -> bytes:
    """A zip of which the headers say that its member is encrypted."""
    content = bytearray(zipped(("topics.csv", GOOD)))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def bomb(packer: str) -> bytes:
    """200 MB of zeros in a few hundred kilobytes, or less."""
    size, chunk = 200, bytes(1 << 20)
    if packer == "zst":
        import zstandard

        packed = zstandard.ZstdCompressor().compressobj()
        return b"".join(packed.compress(chunk) for _ in range(size)) + packed.flush()
    if packer == "gz":
        packed = zlib.compressobj(9, wbits=31)
        return b"".join(packed.compress(chunk) for _ in range(size)) + packed.flush()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("topics.csv", "w") as member:
        for _ in range(size):
            member.write(chunk)
    return buffer.getvalue()


def lying_zip() -> bytes:
    """A zip that claims its member to be small."""
    content = bytearray(bomb("zip"))
    place = content.rindex(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", 10)
    return bytes(content)


def parquet(columns: dict) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def no_rows() -> bytes:
    import pyarrow as pa

    return parquet({name: pa.array([], "string") for name in ("body", "topic")})


def sparse(
    head: bytes, character: bytes, megabytes: int, tail: bytes = b"", name: str = "topics.csv"
) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        with (folder / name).open("wb") as file:
            file.write(head)
            for _ in range(megabytes):
                file.write(character * (1 << 20))
            file.write(tail)

    return make


def folder_of(*names: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "topics.csv").mkdir()
        for name in names:
            (folder / "topics.csv" / name).write_bytes(GOOD)

    return make


def fifo(folder: Path) -> None:
    os.mkfifo(folder / "topics.csv")


def flipped(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 0x10
    return bytes(changed)


CSV_ROWS = (  # NUL, the mark of decoders, too many fields, too few, none, another case, white space, 10 MB, other spacing
    b'"a\x00b",food\n"a\xef\xbf\xbdb",food\none,two,food\nalone\n\na,Sports\n"  ",food\n'
    + b"x" * 10_000_000
    + b',food\n"a", food\n'
)
JSON_RECORDS = (  # a number, an object, a key twice, half a surrogate pair, no label, a list as label
    rb', {"body": 7, "topic": "food"}, {"body": {"en": "a"}, "topic": "food"}, {"body": "a", "body": "b", "topic": "food"}, '
    rb'{"body": "a\ud83d", "topic": "food"}, {"body": "a"}, {"body": "a", "topic": 3}]'
)
UCI = b"".join(b"ham\tsee you at %d\nspam\tWIN %d pounds\n" % (n, n) for n in range(20))
PINNED = hashlib.sha256(GOOD).hexdigest()
PAGE = b"\n<!DOCTYPE html>\n<html><body>Please log in</body></html>\n"
JSON = {**CSV, "file": "topics.json", "quotes": False}
JSONL = {**CSV, "file": "topics.jsonl", "quotes": False}
PARQUET = {**CSV, "file": "topics.parquet", "quotes": False}
LINK = (stat.S_IFLNK | 0o777) << 16

INPUTS: dict[str, Spoiled] = {
    # what is not there, or is no file
    "nothing there": Spoiled(lambda folder: None, "could not be fetched from .*topics.csv: there is no such file"),
    "an empty file": Spoiled(b"", "topics.csv is empty"),
    "white space alone": Spoiled(b" \n\n\t\r\n", "topics.csv is empty"),
    "a header alone": Spoiled(b"body,topic\n", "topics.csv has no records, only a header"),
    "a folder without files": Spoiled(folder_of(), "topics.csv: there is no file in it"),
    "a folder with two tables": Spoiled(folder_of("a.csv", "b.csv"), r"names 2 files \(a.csv, b.csv\): name one"),
    "a pipe": Spoiled(fifo, "topics.csv: it is neither a file nor a folder"),
    # another kind of file
    "an HTML page": Spoiled(PAGE, "topics.csv: it is an HTML or XML page"),
    "an HTML page, packed": Spoiled(gzip.compress(PAGE), "topics.csv .*is an HTML or XML page"),
    "an XML error": Spoiled(
        b'\xef\xbb\xbf<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "topics.csv: it is an HTML or XML"
    ),
    "an Excel workbook": Spoiled(
        zipped(("[Content_Types].xml", b"<x/>"), ("xl/workbook.xml", b"<x/>")), "an Excel or Word file"
    ),
    "an old Excel workbook": Spoiled(
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an Excel or Word file, which is not supported"
    ),
    "bzip2": Spoiled(b"BZh91AY&SY" + bytes(50), "bzip2-compressed, which is not supported"),
    "Parquet called csv": Spoiled(parquet({"body": ["a"], "topic": ["b"]}), "topics.csv is Parquet, not text"),
    "csv called Parquet": Spoiled(GOOD, "topics.parquet is not Parquet", name="topics.parquet", params=PARQUET),
    # encodings
    "Latin-1": Spoiled(
        GOOD + "caf\xe9,food\n".encode("latin-1"), "topics.csv is not UTF-8: line 42, byte .* is 0xe9.*iconv"
    ),
    "UTF-16": Spoiled(table().encode("utf-16"), "topics.csv is UTF-16"),
    "UTF-16 without a mark": Spoiled(table().encode("utf-16-le"), "topics.csv is UTF-16"),
    "cut within a character": Spoiled(GOOD + "caf\xe9".encode()[:-1], "topics.csv is not UTF-8: it ends in the middle"),
    "a flipped bit": Spoiled(
        flipped(GOOD, 30), "topics.csv has SHA-256 .*, not .* data.spam.sha256", params={**CSV, "sha256": PINNED}
    ),
    "a file cut off": Spoiled(
        GOOD[:-20], "topics.csv has SHA-256 .*, not .* data.spam.sha256", params={**CSV, "sha256": PINNED}
    ),
    "a record cut off": Spoiled(GOOD[:-6], quarantined={40: "label is missing"}),
    # tables
    "semicolons": Spoiled(table(separator=";").encode(), "topics.csv has no comma in its first line, but semicolons"),
    "tabs": Spoiled(
        table(separator="\t").encode(), "topics.csv has no comma in its first line, but tabs.*call it .tsv"
    ),
    "Excel's sep line": Spoiled(
        b"sep=;\n" + table(separator=";").encode(), "topics.csv has no comma in its first line, but semicolons"
    ),
    "a missing column": Spoiled(
        table(header="Body,topic").encode(), "no column body; it has Body, topic. Did you mean Body.*data.spam.text"
    ),
    "no header": Spoiled(table().partition("\n")[2].encode(), "topics.csv has no column (body|topic)"),
    "two columns of a name": Spoiled(b"body,topic,body\na,food,b\n", "topics.csv has two columns of the name body"),
    "an unclosed quote": Spoiled(
        GOOD + b'"never ends,food\nand on,tech\n', "topics.csv: in the record that starts in line 42 the quote"
    ),
    "a quote within a field": Spoiled(
        GOOD + b'"he said "hi" to me",food\n', "topics.csv: in the record that starts in line 42 a quote inside"
    ),
    "quotes that are not read": Spoiled(
        b'"body","topic"\n"a","food"\n', "set data.spam.quotes: true", params={**CSV, "quotes": False}
    ),
    "bad rows of a csv": Spoiled(
        GOOD + CSV_ROWS,
        quarantined={
            41: "text has control characters",
            42: "text has control characters or undecodable ones",
            43: "text is missing",
            44: "label is missing",
            45: "label is missing",
            46: "label is unknown",
            47: "text is empty",
            48: "text is longer than",
            49: "label is unknown",
        },
    ),
    "bad lines of a tsv": Spoiled(
        UCI + b"ham\n\nno tab\nHAM\tx\nham\ta\x00\n",
        name="spam.tsv",
        params=STANDARD["spam"],
        quarantined={
            41: "text is missing",
            42: "label is missing",
            43: "label is missing",
            44: "label is unknown",
            45: "text has control characters",
        },
    ),
    "200 MB of one character": Spoiled(sparse(b"body,topic\n", b"x", 200), "topics.csv: line 2 has more than"),
    "200 MB in quotes": Spoiled(
        sparse(b'body,topic\n"', b"x\n", 100, b'",food\n'), "topics.csv: .* a field has more than"
    ),
    "200 MB of quotes": Spoiled(sparse(b"body,topic\n", b'"', 200), "topics.csv: line 2 has more than"),
    "200 MB of one character in JSON": Spoiled(
        sparse(b'[{"body": "', b"x", 200, b'", "topic": "food"}]', "topics.json"),
        "topics.json: record 1 has a text of more than",
        name="topics.json",
        params=JSON,
    ),
    "a corpus of one character": Spoiled(
        sparse(b"Once upon a time " * 100 + b"\n<|endoftext|>\n", b"x", 200, name="corpus.txt"),
        quarantined={3: "characters without white space"},
        data_set="corpus",
        name="corpus.txt",
    ),
    # JSON
    "JSON cut off": Spoiled(
        json.dumps(RECORDS).encode()[:-30], "topics.json is not JSON: ", name="topics.json", params=JSON
    ),
    "JSON of one object": Spoiled(
        json.dumps({"data": RECORDS}).encode(),
        "not a list: .*Its key data holds a list",
        name="topics.json",
        params=JSON,
    ),
    "JSON of strings": Spoiled(b'["a", "b"]', "none of its 2 items is a record", name="topics.json", params=JSON),
    "JSON of columns": Spoiled(
        b'{"body": {"0": "a"}, "topic": {"0": "b"}}', "is JSON, but not a list", name="topics.json", params=JSON
    ),
    "an empty JSON list": Spoiled(b"[]", "topics.json is an empty list", name="topics.json", params=JSON),
    "JSON without the key": Spoiled(
        b'[{"txt": "a", "topic": "b"}]', "no column body; it has txt, topic", name="topics.json", params=JSON
    ),
    "JSON nested too deeply": Spoiled(b"[" * 200_000, "nested too deeply", name="topics.json", params=JSON),
    "a number of 5,000 digits": Spoiled(
        b'[{"body": ' + b"9" * 5000 + b"}]", "more than 4,300 digits", name="topics.json", params=JSON
    ),
    "bad records of a json": Spoiled(
        json.dumps(RECORDS).encode()[:-1] + JSON_RECORDS,
        name="topics.json",
        params=JSON,
        quarantined={
            41: "text is missing or not a string",
            42: "text is missing or not a string",
            43: "text is missing",
            44: "undecodable",
            45: "label is missing",
            46: "label is unknown",
        },
    ),
    "a line that is no JSON": Spoiled(
        "\n".join(map(json.dumps, RECORDS)).encode() + b'\n{"body": "cut',
        quarantined={41: "text is missing"},
        name="topics.jsonl",
        params=JSONL,
    ),
    "a JSON list called jsonl": Spoiled(
        json.dumps(RECORDS).encode(), "topics.jsonl is a JSON list", name="topics.jsonl", params=JSONL
    ),
    "no JSON in any line": Spoiled(b"a\nb\n", "no record in any of its 2 lines", name="topics.jsonl", params=JSONL),
    "instructions without output": Spoiled(
        json.dumps([{"instruction": "a"}] * 40).encode(),
        "instructions.json has no column output",
        data_set="instructions",
        name="instructions.json",
    ),
    "an empty output": Spoiled(
        json.dumps([*INSTRUCTIONS, {"instruction": "a", "output": " "}]).encode(),
        quarantined={41: "output is empty"},
        data_set="instructions",
        name="instructions.json",
    ),
    "records that are none": Spoiled(
        json.dumps([*INSTRUCTIONS, None, 7, [], "x"]).encode(),
        quarantined={41: "instruction is missing", 42: "instruction", 43: "instruction", 44: "instruction"},
        data_set="instructions",
        name="instructions.json",
    ),
    # Parquet
    "Parquet cut off": Spoiled(
        parquet({"body": ["a"] * 99, "topic": ["food"] * 99})[:-20],
        "topics.parquet is not Parquet, or it is truncated",
        name="topics.parquet",
        params=PARQUET,
    ),
    "Parquet of numbers": Spoiled(
        parquet({"body": [1, 2], "topic": ["food", "tech"]}),
        "its column body holds int64, not text",
        name="topics.parquet",
        params=PARQUET,
    ),
    "Parquet of lists": Spoiled(
        parquet({"body": [["a"], ["b"]], "topic": ["food", "tech"]}),
        "its column body holds list",
        name="topics.parquet",
        params=PARQUET,
    ),
    "Parquet without the column": Spoiled(
        parquet({"txt": ["a"], "topic": ["food"]}),
        "topics.parquet has no column body",
        name="topics.parquet",
        params=PARQUET,
    ),
    "a null in Parquet": Spoiled(
        parquet(
            {
                "body": [*(body for body, _ in rows()), None],
                "topic": [*["food", "tech", "sports", "politics"] * 10, "food"],
            }
        ),
        quarantined={41: "text is missing"},
        name="topics.parquet",
        params=PARQUET,
    ),
    "no rows in Parquet": Spoiled(no_rows(), "topics.parquet has no records", name="topics.parquet", params=PARQUET),
    # packed
    "gzip cut off": Spoiled(gzip.compress(GOOD)[:-12], "topics.csv can't be used: it is gzip, and it is truncated"),
    "a flipped bit in gzip": Spoiled(
        flipped(gzip.compress(os.urandom(2000)), 1000), "topics.csv can't be used: it is gzip, and it is damaged"
    ),
    "more after gzip": Spoiled(
        gzip.compress(GOOD) + b"rubbish", "topics.csv can't be used: it is gzip, and it is damaged"
    ),
    "a gzip bomb": Spoiled(bomb("gz"), "topics.csv can't be used: it is more than .* bytes when it is unpacked"),
    "a Zstandard bomb": Spoiled(bomb("zst"), "topics.csv can't be used: it is more than .* bytes when it is unpacked"),
    "a zip bomb": Spoiled(bomb("zip"), "topics.csv can't be used: it is more than .* bytes when it is unpacked"),
    "a zip that lies about sizes": Spoiled(
        lying_zip(), "topics.csv can't be used: it is (more than|zip, and it is damaged)"
    ),
    "packed over and over": Spoiled(
        gzip.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(GOOD))))), "more than 4 times"
    ),
    "an empty gzip": Spoiled(gzip.compress(b""), "topics.csv.* is empty"),
    "zip cut off": Spoiled(
        zipped(("topics.csv", GOOD))[:-30], "topics.csv can't be used: it is zip, and it is damaged or truncated"
    ),
    "an empty zip": Spoiled(zipped(), "an empty archive"),
    "an encrypted zip": Spoiled(encrypted(), "an encrypted zip"),
    "a zip with ../": Spoiled(
        zipped(("topics.csv", GOOD), ("../evil.csv", GOOD)),
        r"its member \.\./evil.csv points outside",
        params={**CSV, "member": "topics.csv"},
    ),
    "a zip with backslashes": Spoiled(zipped(("..\\evil.csv", GOOD)), "points outside"),
    "a zip with an absolute path": Spoiled(zipped(("/etc/evil.csv", GOOD)), "its member /etc/evil.csv points outside"),
    "a zip with a drive": Spoiled(zipped(("C:evil.csv", GOOD)), "its member C:evil.csv points outside"),
    "a zip with a symlink": Spoiled(
        zipped(("topics.csv", b"/etc/passwd"), external_attr=LINK, create_system=3), "is a link or a device"
    ),
    "a zip with many files": Spoiled(
        zipped(("a.csv", GOOD), ("b.csv", GOOD)), "it has 2 files: set member to one of a.csv, b.csv"
    ),
    "a zip without the member": Spoiled(
        zipped(("a.csv", GOOD)), "it has no member c.csv; it has a.csv", params={**CSV, "member": "c.csv"}
    ),
    "a zip with a name twice": Spoiled(zipped(("a.csv", GOOD), ("a.csv", b"x")), "two members of the name a.csv"),
    "a member of no archive": Spoiled(
        GOOD, "it is not an archive, so it has no member", params={**CSV, "member": "c.csv"}
    ),
    "a tar with ../": Spoiled(tarred(("../evil.csv", GOOD)), r"its member \.\./evil.csv points outside"),
    "a tar with a symlink": Spoiled(
        tarred(("topics.csv", b""), type=tarfile.SYMTYPE, linkname="/etc/passwd"), "is a link or a device"
    ),
    "a tar with a hard link": Spoiled(
        tarred(("topics.csv", b""), type=tarfile.LNKTYPE, linkname="../x"), "is a link or a device"
    ),
    "a tar with a device": Spoiled(tarred(("topics.csv", b""), type=tarfile.CHRTYPE), "is a link or a device"),
    "tar cut off": Spoiled(tarred(("topics.csv", GOOD * 9))[:6000], "it is tar, and it is (damaged or )?truncated"),
    "tar.gz cut off": Spoiled(gzip.compress(tarred(("topics.csv", GOOD)))[:-20], "it is gzip, and it is truncated"),
    # the corpus
    "a corpus in Latin-1": Spoiled(
        "Once upon a caf\xe9. ".encode("latin-1") * 99,
        "corpus.txt is not UTF-8: line 1, byte 15",
        data_set="corpus",
        name="corpus.txt",
    ),
    "an empty corpus": Spoiled(b"\n \n", "corpus.txt is empty", data_set="corpus", name="corpus.txt"),
    "a corpus of rubbish": Spoiled(
        b"Once upon a time " * 100 + b"\n<|endoftext|>\n" + bytes(range(1, 128)) * 99,
        quarantined={3: "text has control characters"},
        data_set="corpus",
        name="corpus.txt",
    ),
}
