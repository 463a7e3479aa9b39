"""What several tests share: the real photos beside the checkout, the emulators."""

import os
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from google.cloud import storage
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from demo.emulators import Emulators, missing, running

if TYPE_CHECKING:
    from demo.pubsub import PubSub

# Before numpy is imported. Tests run side by side, and the threads of its library
# would only wait for each other: a day of 5,000 photos took 2.5 s instead of 0.2.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# And before OpenCV is: waiting took its threads a quarter of the time they had.
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips",
        action="store_true",
        help="fail what is skipped, except for want of the data in ../shared",
    )


def _no_skip(
    report: pytest.TestReport | pytest.CollectReport, config: pytest.Config
) -> None:
    # An expected failure is reported as skipped too.
    if (
        report.skipped
        and not hasattr(report, "wasxfail")
        and "../shared" not in report.longreprtext
        and config.getoption("no_skips")
    ):
        report.outcome = "failed"
        report.longrepr = f"--no-skips: {report.longreprtext}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _no_skip(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _no_skip(report, collector.config)
    return report


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests of outages wait most of their time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first, so that no core is left alone with it."""
    items.sort(key=lambda item: _is_long(item.path), reverse=True)


def _is_long(path: Path) -> bool:
    histories = "pipeline/test_convergence.py"
    return "streams" in path.parts or path.as_posix().endswith(histories)


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

    with _emulator("storage"):
        storage_client.cache_clear()
        yield storage_client()
        storage_client.cache_clear()


@pytest.fixture(scope="session")
def firestore_emulator() -> Iterator[Emulators]:
    """The Firestore emulator, which clients of Firestore find meanwhile."""
    with _emulator("firestore") as emulators:
        yield emulators


@pytest.fixture
def firestore_project(firestore_emulator: Emulators) -> Iterator[str]:
    """The id of an empty project in the Firestore emulator."""
    project = f"piccl-{uuid.uuid4().hex[:12]}"
    yield project
    host = firestore_emulator.environment["FIRESTORE_EMULATOR_HOST"]
    # Its memory is one test's, not that of all of them.
    path = f"emulator/v1/projects/{project}/databases/(default)/documents"
    with requests.Session() as session:
        # It refuses while a transaction of a process that was killed is open.
        retry = Retry(total=8, status_forcelist=[409], backoff_factor=0.5)
        session.mount("http://", HTTPAdapter(max_retries=retry))
        session.delete(f"http://{host}/{path}", timeout=60).raise_for_status()


@pytest.fixture(scope="session")
def pubsub_emulator() -> Iterator[Emulators]:
    """The Pub/Sub emulator, which clients of Pub/Sub find meanwhile."""
    with _emulator("pubsub") as emulators:
        yield emulators


@pytest.fixture
def pubsub(pubsub_emulator: Emulators) -> "PubSub":
    """A project without topics in the Pub/Sub emulator."""
    # As heavy as Beam, see above.
    from demo.pubsub import PubSub

    return PubSub(f"piccl-{uuid.uuid4().hex[:12]}")


@contextmanager
def _emulator(name: str) -> Iterator[Emulators]:
    if why := missing(name):
        pytest.skip(why)
    with running(name) as emulators, pytest.MonkeyPatch.context() as patch:
        for variable, value in emulators.environment.items():
            patch.setenv(variable, value)
        yield emulators
