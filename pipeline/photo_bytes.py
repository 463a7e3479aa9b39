"""A stored photo's bytes, wherever it is."""

import os
import stat
from typing import Any, Final

# As much as the job reads of a photo.
_MOST_BYTES: Final = 512 * 2**20


def storage_client() -> Any:
    """A client of Cloud Storage."""
    # Seconds to import, which photos in local folders need not cost.
    from transforms.buckets import storage_client

    return storage_client()


def read_bytes(path: str) -> bytes:
    """What is at an address now, which may not be what was analysed.

    Args:
        path: As it is stored: an absolute path, or `gs://bucket/name`.

    Raises:
        FileNotFoundError: It is gone.
        OSError: It can not be read, or is nothing that a photo can be.
    """
    if not path.startswith("gs://"):
        return _of_file(path)
    from google.api_core.exceptions import GoogleAPIError, NotFound
    from google.auth.exceptions import GoogleAuthError

    bucket, _, name = path.removeprefix("gs://").partition("/")
    try:
        blob = storage_client().bucket(bucket).get_blob(name)
        if blob is None:
            raise FileNotFoundError(path)
        _check_size(path, blob.size)
        data: bytes = blob.download_as_bytes(if_generation_match=blob.generation)
    except NotFound as err:
        raise FileNotFoundError(path) from err
    except (GoogleAPIError, GoogleAuthError) as err:
        raise OSError(f"Cloud Storage: {err}") from err
    return data


def _of_file(path: str) -> bytes:
    # A pipe at that name would wait for whoever writes to it.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise OSError(f"no regular file: {path}")
        _check_size(path, info.st_size)
        # It may grow meanwhile.
        data = file.read(info.st_size + 1)
    if len(data) != info.st_size:
        raise OSError(f"it is being written: {path}")
    return data


def _check_size(path: str, size: int) -> None:
    if size > _MOST_BYTES:
        raise OSError(f"larger than {_MOST_BYTES / 2**20:,.0f} MiB: {path}")
