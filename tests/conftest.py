"""What several tests share: the real photos beside the checkout, Cloud Storage."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from gcp_storage_emulator.server import create_server
from google.cloud import storage

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _empty_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests find no models that whoever runs them has fetched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def shared_photos() -> Path:
    """The folder of labelled real photos, which is data and no part of the project."""
    photos = SHARED / "photos"
    if not photos.is_dir():
        pytest.skip("needs the labelled photos in ../shared/data/photos")
    return photos


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """The folder of real Darknet networks, which are no part of the project either."""
    models = SHARED / "models"
    if not models.is_dir():
        pytest.skip("needs the Darknet networks in ../shared/data/models")
    return models


@pytest.fixture
def ordinary_user(tmp_path: Path) -> Callable[[], AbstractContextManager[None]]:
    """A context in which permissions hold, also where the tests run as root."""
    nobody = 65534

    @contextmanager
    def act() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        for folder in (tmp_path, *tmp_path.parents):
            if folder.stat().st_mode & 0o011 != 0o011:
                folder.chmod(0o711)
        os.seteuid(nobody)
        try:
            yield
        finally:
            os.seteuid(0)

    return act


@pytest.fixture(scope="session")
def cloud_storage() -> Iterator[storage.Client]:
    """A client of the Cloud Storage emulator, which `gs://` leads to meanwhile.

    It keeps one version of an object and serves it whatever generation is asked
    for; `match_glob` it knows.
    """
    # Beam takes a second to import, which most tests need not spend.
    from transforms.buckets import storage_client

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = create_server("127.0.0.1", port, in_memory=True)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        storage_client.cache_clear()
        yield storage_client()
        storage_client.cache_clear()
    server.stop()
