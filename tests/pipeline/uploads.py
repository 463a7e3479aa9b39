"""What tests of uploads share: a bucket with faults, files to put into it."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gcp_storage_emulator import server as emulator
from gcp_storage_emulator.handlers import objects
from google.cloud import storage

ROOT = Path(__file__).parents[2]
PART_BYTES = 8 * 2**20
PREFIX = "users/me/photos/"


def nothing(name: str, files: emulator.Storage) -> None:
    """As no fault has it."""


@dataclass
class Cloud:
    """The Cloud Storage emulator, with what it lacks and with faults on demand.

    It takes no notice of `ifGenerationMatch`, so that is added here.

    Attributes:
        client: Of the emulator.
        name: Of the test's bucket.
        requests: Names of the objects that uploads were begun of.
        before: Called with each upload's name, and with "" before each further part;
            the status that it returns is answered. The emulator serves one at a time.
    """

    client: storage.Client
    name: str
    requests: list[str] = field(default_factory=list)
    before: Callable[[str, emulator.Storage], int | None] = nothing

    @property
    def bucket(self) -> storage.Bucket:
        return self.client.bucket(self.name)

    @property
    def photos(self) -> dict[str, bytes]:
        """All photos of the user `me`."""
        blobs = self.client.list_blobs(self.name, prefix=PREFIX)
        return {b.name.removeprefix(PREFIX): b.download_as_bytes() for b in blobs}

    def begin(self, request: Any, response: Any, files: emulator.Storage) -> None:
        """Answer the request that begins an upload, or is all of it."""
        data = request.data
        name = data.get("meta", data)["name"]
        self.requests.append(name)
        if "ifGenerationMatch" in request.query and self._refuse(name, response, files):
            return
        if not self._fail(name, response, files):
            objects.insert(request, response, files)

    def go_on(self, request: Any, response: Any, files: emulator.Storage) -> None:
        """Answer the request that brings a part."""
        # As the client holds it, so does the upload's address.
        if "ifGenerationMatch" in request.query:
            upload = files.get_resumable_file_obj(request.query["upload_id"][0])
            if self._refuse(upload["name"], response, files):
                return
        if not self._fail("", response, files):
            objects.upload_partial(request, response, files)

    def _refuse(self, name: str, response: Any, files: emulator.Storage) -> bool:
        taken = name in files.objects.get(self.name, {})
        if taken:
            response.status = HTTPStatus.PRECONDITION_FAILED
            response.json({"error": {"message": "conditionNotMet"}})
        return taken

    def _fail(self, name: str, response: Any, files: emulator.Storage) -> bool:
        status = self.before(name, files)
        if status is not None:
            response.status = HTTPStatus(status)
            response.json({"error": {"message": "as the test wants it"}})
        return status is not None


def command(*files: object, flags: tuple[str, ...] = ()) -> list[str]:
    where = ["--user=me", "--bucket=photos-of-all", "--json"]
    return ["upload", *map(str, files), *where, *flags]


def start(*files: object, where: Path) -> subprocess.Popen[bytes]:
    """Run the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *command(*files)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=where,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def put(path: Path, data: bytes, mtime_s: float = 1_500_000_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(0, round(mtime_s * 10**9)))
    return path


def large(seed: bytes, parts: int = 3) -> bytes:
    """What begins as a JPEG and is sent in parts."""
    block = hashlib.sha256(seed).digest()
    return b"\xff\xd8\xff\xe0" + block * (parts * PART_BYTES // len(block) - 1)


def with_hash(name: str, data: bytes, digits: int = 8) -> str:
    """The name of a photo whose own is taken."""
    stem, suffix = os.path.splitext(name)
    return f"{stem}~{hashlib.sha256(data).hexdigest()[:digits]}{suffix}"
