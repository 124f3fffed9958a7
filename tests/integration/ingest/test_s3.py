"""One's own data from an object store: moto's server in its place."""

import gzip
import re
from pathlib import Path

import pytest

from fetching import fetch, refusal, source_spec

TABLE = b"body,topic\n" + b"".join(b'"Text %d, it says",food\n' % n for n in range(2000))


@pytest.fixture(scope="module")
def s3_server():
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    yield f"http://127.0.0.1:{server._server.server_port}"
    server.stop()


@pytest.fixture
def bucket(s3_server, tmp_path, monkeypatch):
    import botocore.session

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPTMILL_CACHE", str(tmp_path / "cache"))
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METATABLE_DISABLED": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    client = botocore.session.Session().create_client("s3", region_name="us-east-1")
    client.create_bucket(Bucket="texts")
    for key, content in {"topics.csv.gz": gzip.compress(TABLE), "many/b.txt": b"Two.", "many/a.txt": b"One."}.items():
        client.put_object(Bucket="texts", Key=key, Body=content)


def test_objects_come_from_s3_one_or_many(bucket):
    content, record = fetch(source_spec("s3://texts/topics.csv.gz"))
    assert content == TABLE and record["origin"] == "s3://texts/topics.csv.gz"
    for address in ("s3://texts/many/", "s3://texts/many", "s3://texts/many/*.txt"):
        content, record = fetch(source_spec(address, name="corpus", file="corpus.txt"))
        assert content == b"One.\n<|endoftext|>\nTwo.\n" and [part["name"] for part in record["files"]] == [
            "many/a.txt",
            "many/b.txt",
        ]
        Path("data/raw/corpus.txt").unlink()


def test_what_is_not_in_s3_or_too_large_is_one_readable_error(bucket):
    for address in ("s3://texts/none.csv", "s3://nowhere/topics.csv", "s3://texts/*.parquet"):
        assert re.search(
            r"spam could not be fetched from s3://.*: there is no such bucket or key\. Check data\.spam\.urls",
            refusal(source_spec(address)),
        )
    assert "more than the 0 MB" in refusal(source_spec("s3://texts/topics.csv.gz", megabytes=0))


def test_an_object_of_s3_that_comes_short_is_refused(bucket, monkeypatch):
    import s3fs

    monkeypatch.setattr(s3fs.S3FileSystem, "size", lambda self, path: 1000)
    assert re.search(r"\d+ of its 1,000 bytes came", refusal(source_spec("s3://texts/topics.csv.gz")))
