"""Downloads S3 objects through s3fs. Keys, region and endpoint come from the environment, as for every S3 tool."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gptmill.core import addresses
from gptmill.ingest.archives import CHUNK
from gptmill.ingest.download import DownloadError, NotFound, SizeLimitExceeded


@contextmanager
def _s3(address: str) -> Iterator:
    """The file system, anonymous without keys. Errors inside become `DownloadError`."""
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
        message = addresses.redact(str(error).partition("\n")[0])
        raise DownloadError(
            f"the s3 server answers: {message}" if message else "the s3 server does not answer"
        ) from None


def _has_keys() -> bool:
    import botocore.session

    with suppress(Exception):  # a broken profile is reported when it is used
        return botocore.session.Session().get_credentials() is not None
    return True


def find(address: str) -> list[str]:
    """Addresses of the objects of an S3 address: one object, a prefix (ending in `/`, or a folder) or a glob."""
    with _s3(address) as s3:
        path = address.partition("://")[2]
        if any(sign in path for sign in "*?["):
            keys = [key for key in s3.glob(path) if s3.isfile(key)]
        elif path.endswith("/") or "/" not in path or not s3.isfile(path):
            keys = s3.find(path)
        else:
            keys = [path]
        if not keys:
            raise FileNotFoundError
        return [f"s3://{key}" for key in sorted(keys)]


def download(address: str, to: Path, name: str, limit: int) -> None:
    """One S3 object. Raises `DownloadError`, or `SizeLimitExceeded` for more than `limit` bytes."""
    from tqdm import tqdm

    with _s3(address) as s3:
        path = address.partition("://")[2]
        size = s3.size(path)
        if size is not None and size > limit:
            raise SizeLimitExceeded
        received = 0
        with (
            s3.open(path, "rb", block_size=8 * CHUNK) as stream,
            to.open("wb") as file,
            tqdm(total=size, desc=name, unit="B", unit_scale=True, disable=None) as bar,
        ):
            while chunk := stream.read(CHUNK):
                received += len(chunk)
                if received > limit:
                    raise SizeLimitExceeded
                file.write(chunk)
                bar.update(len(chunk))
        if size is not None and received != size:
            raise DownloadError(f"{received:,} of its {size:,} bytes came")
