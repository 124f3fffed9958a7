"""Objects of s3, Amazon's or another's, through fsspec. Keys, region and endpoint come from the environment, as for every s3 tool."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gptmill.core import addresses
from gptmill.ingest.download import DownloadError, NotFound, SizeLimitExceeded

CHUNK = 1 << 20


@contextmanager
def _s3(address: str) -> Iterator:
    """fsspec's file system; anonymous where there are no keys. What goes wrong inside becomes `DownloadError`."""
    import botocore.exceptions
    import s3fs

    try:
        yield s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False, anon=not _has_keys())
    except FileNotFoundError:
        raise NotFound("there is no such bucket or key") from None
    except PermissionError:
        raise DownloadError(
            "access is denied: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        ) from None
    except botocore.exceptions.EndpointConnectionError:
        raise DownloadError("no connection to the s3 server; AWS_ENDPOINT_URL and AWS_REGION say where it is") from None
    except (OSError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, ValueError) as error:
        said = addresses.redact(str(error).partition("\n")[0])
        raise DownloadError(f"the s3 server answers: {said}" if said else "the s3 server does not answer") from None


def _has_keys() -> bool:
    import botocore.session

    with suppress(Exception):  # a broken profile is told when it is used
        return botocore.session.Session().get_credentials() is not None
    return True


def find(address: str) -> list[str]:
    """The addresses of the objects that an s3 address names: one, all under a prefix that ends in `/` or is a folder, or a glob's."""
    with _s3(address) as s3:
        path = address.partition("://")[2]
        if any(sign in path for sign in "*?["):
            found = [name for name in s3.glob(path) if s3.isfile(name)]
        elif path.endswith("/") or "/" not in path or not s3.isfile(path):
            found = s3.find(path)
        else:
            found = [path]
        if not found:
            raise FileNotFoundError
        return [f"s3://{name}" for name in sorted(found)]


def download(address: str, to: Path, name: str, limit: int) -> None:
    """One object of s3. Raises `DownloadError` when it can't be had, `SizeLimitExceeded` when it is larger than `limit` bytes."""
    from tqdm import tqdm

    with _s3(address) as s3:
        path = address.partition("://")[2]
        size = s3.size(path)
        if size is not None and size > limit:
            raise SizeLimitExceeded
        have = 0
        with (
            s3.open(path, "rb", block_size=8 * CHUNK) as stream,
            to.open("wb") as file,
            tqdm(total=size, desc=name, unit="B", unit_scale=True, disable=None) as bar,
        ):
            while chunk := stream.read(CHUNK):
                have += len(chunk)
                if have > limit:
                    raise SizeLimitExceeded
                file.write(chunk)
                bar.update(len(chunk))
        if size is not None and have != size:
            raise DownloadError(f"{have:,} of its {size:,} bytes came")
