"""Files come whole and right, or not at all, whatever the server does."""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from pipeline.downloads import DownloadError, Patience, fetch
from pipeline.known_weights import PublishedFile

BODY = np.random.default_rng(0).bytes(300_000)
PATIENCE = Patience(tries=3, timeout_s=5, wait_s=0.01)

Answer = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """Answered by the next of the server's answers; the last one stays."""

    server: "Server"

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Range"))
        answers = self.server.answers
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def send(self, status: int, body: bytes = b"", **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    answers: list[Answer]
    asked: list[str | None]
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what is being tested."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file"


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server(("127.0.0.1", 0), Request)
    server.answers, server.asked = [well], []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def well(request: Request, body: bytes = BODY, end: int | None = None) -> None:
    """As a good server does; `end`: it breaks off after so many bytes of its answer."""
    asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    start = int(asked[1]) if asked else 0
    rest = body[start:]
    if asked and not rest:
        request.send(416, Content_Range=f"bytes */{len(body)}")
    elif asked:
        range_ = f"bytes {start}-{len(body) - 1}/{len(body)}"
        request.send(206, rest[:end], Content_Length=len(rest), Content_Range=range_)
    else:
        request.send(200, rest[:end], Content_Length=len(rest))


def breaks_off(end: int, body: bytes = BODY) -> Answer:
    return lambda request: well(request, body, end)


def ignores_range(request: Request) -> None:
    request.send(200, BODY, Content_Length=len(BODY))


def says(status: int, **headers: object) -> Answer:
    return lambda request: request.send(status, b"<html>", Content_Length=6, **headers)


def sends(body: bytes) -> Answer:
    """All of it, whatever was asked, without saying how much it is."""
    return lambda request: request.send(200, body)


class Fetch:
    """Fetches from the server, and keeps what was told."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.urls = folder, (url,)
        self.told: list[str] = []
        self.bytes_seen: list[int] = []

    def __call__(self, body: bytes = BODY, patience: Patience = PATIENCE) -> bool:
        digest = hashlib.sha256(body).hexdigest()
        file = PublishedFile("file", self.urls, len(body), digest)
        return fetch(
            file,
            self.folder,
            tell=self.told.append,
            on_bytes=self.bytes_seen.append,
            patience=patience,
        )

    @property
    def part(self) -> Path:
        return self.folder / "file.part"

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def check_whole(self) -> None:
        assert self.names == ["file"]
        assert (self.folder / "file").read_bytes() == BODY


@pytest.fixture
def get(tmp_path, server) -> Fetch:
    return Fetch(tmp_path / "models" / "here", server.url)


def test_comes_whole_and_only_once(get, server) -> None:
    assert get()
    get.check_whole()
    assert get.bytes_seen[-1] == len(BODY)
    assert not get()
    assert server.asked == [None]
    assert get.told == []


def test_goes_on_in_the_same_call_where_it_broke_off(get, server) -> None:
    server.answers = [breaks_off(100_000), breaks_off(100_000), well]
    assert get()
    get.check_whole()
    starts = [int(asked[len("bytes=") : -1]) for asked in server.asked[1:]]
    # What arrived is not asked for again, but for what was on its way in a block.
    assert 0 < starts[0] <= 100_000 < starts[1] <= 200_000
    assert len(get.told) == 2
    assert "try 2 of 3" in get.told[0]


def test_goes_on_in_a_later_call_where_it_broke_off(get, server) -> None:
    server.answers = [breaks_off(100_000), says(500)]
    with pytest.raises(DownloadError, match="500"):
        get()
    assert get.names == ["file.part"]
    arrived = get.part.stat().st_size
    assert 0 < arrived <= 100_000
    server.answers, server.asked[:] = [well], []
    assert get()
    get.check_whole()
    assert server.asked == [f"bytes={arrived}-"]


def test_starts_over_where_ranges_are_ignored(get, server) -> None:
    server.answers = [breaks_off(100_000), ignores_range]
    assert get()
    get.check_whole()
    assert len(server.asked) == 2


def test_a_line_that_keeps_breaking_still_brings_a_large_file(get, server) -> None:
    body = BODY * 20
    server.answers = [breaks_off(1_500_000, body)]
    assert get(body, Patience(tries=2, timeout_s=5, wait_s=0.01))
    assert len(server.asked) == 5


@pytest.mark.parametrize(
    "answer",
    [
        says(404),
        says(403),
        lambda request: well(request, BODY[:-1]),
        lambda request: well(request, BODY + b"x"),
        sends(BODY + b"x"),
        sends(BODY * 3),
        says(302, Location="file:///etc/hostname"),
        says(302, Location="ftp://127.0.0.1/file"),
        lambda request: request.send(200, BODY, Content_Encoding="gzip"),
        lambda request: request.send(
            206, BODY, Content_Range=f"bytes 7-299999/{len(BODY)}"
        ),
        lambda request: request.send(206, BODY),
    ],
    ids=[
        "missing",
        "forbidden",
        "too short",
        "too long",
        "longer than known",
        "much longer",
        "a local file",
        "another protocol",
        "compressed",
        "another part",
        "a part of unknown place",
    ],
)
def test_a_wrong_answer_is_not_tried_again(answer, get, server) -> None:
    server.answers = [answer]
    with pytest.raises(DownloadError) as failed:
        get()
    assert f"127.0.0.1:{server.server_port}" in str(failed.value)
    assert "\n" not in str(failed.value)
    assert len(server.asked) == 1
    assert "file" not in get.names
    if get.part.exists():
        assert get.part.stat().st_size <= len(BODY)


def test_another_length_while_resuming(get, server) -> None:
    server.answers = [breaks_off(100_000), lambda request: well(request, BODY * 2)]
    with pytest.raises(DownloadError, match="600,000"):
        get()
    # Another address may still have the right one.
    assert get.part.stat().st_size > 0


def test_too_little_without_a_length_is_asked_for_again(get, server) -> None:
    server.answers = [sends(BODY[:1000]), well]
    assert get()
    get.check_whole()
    assert server.asked == [None, "bytes=1000-"]


def test_nothing_without_a_length_is_not_asked_for_for_ever(get, server) -> None:
    server.answers = [sends(b"")]
    with pytest.raises(DownloadError, match="broke off 300,000 bytes early"):
        get()
    assert len(server.asked) == 3


def test_garbage_of_the_right_length(get, server) -> None:
    server.answers = [sends(b"\0" * len(BODY))]
    with pytest.raises(DownloadError, match="SHA-256"):
        get()
    assert server.asked == [None, None]
    assert get.names == []


@pytest.mark.parametrize("size", [1000, len(BODY), len(BODY) + 1])
def test_a_part_of_something_else_is_given_up(size, get, server) -> None:
    get.folder.mkdir(parents=True)
    get.part.write_bytes(b"\0" * size)
    assert get()
    get.check_whole()
    assert server.asked[-1] is None
    assert len(get.told) == 1


def test_a_whole_part_needs_no_server(get, server) -> None:
    get.folder.mkdir(parents=True)
    get.part.write_bytes(BODY)
    assert get()
    get.check_whole()
    assert server.asked == []


def test_passing_trouble_is_waited_for(get, server) -> None:
    server.answers = [says(500), says(429, Retry_After=1), well]
    assert get()
    get.check_whole()
    waits = [line.split("; ")[1] for line in get.told]
    assert waits == ["try 2 of 3 in 0 s", "try 3 of 3 in 1 s"]


def test_a_server_may_not_ask_for_a_day(get, server) -> None:
    server.answers = [says(503, Retry_After=86_400)]
    with pytest.raises(DownloadError, match="503 Service Unavailable"):
        get(patience=Patience(tries=3, wait_s=0.01, longest_wait_s=0.1))
    assert len(server.asked) == 3


def test_a_silent_server(get, server) -> None:
    done = threading.Event()
    server.answers = [lambda _: done.wait(10)]
    with pytest.raises(DownloadError, match=r"can not reach .*: timed out"):
        get(patience=Patience(tries=2, timeout_s=0.2, wait_s=0.01))
    done.set()
    assert len(server.asked) == 2


def test_a_server_that_falls_silent(get, server) -> None:
    def stall(request: Request) -> None:
        request.send(200, BODY[:100_000], Content_Length=len(BODY))
        done.wait(10)

    done = threading.Event()
    server.answers = [stall, well]
    assert get(patience=Patience(tries=2, timeout_s=0.2, wait_s=0.01))
    done.set()
    get.check_whole()


def test_no_server_at_all(get, server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(DownloadError, match=r"can not reach .*: Connection refused"):
        get()
    assert get.names == []
    assert len(get.told) == 2


def test_a_server_that_hangs_up_or_talks_nonsense(get, server) -> None:
    server.answers = [
        lambda request: request.wfile.write(b"\x1b[2J no HTTP\r\n\r\n"),
        lambda _: None,
        well,
    ]
    assert get()
    assert len(get.told) == 2
    assert "".join(get.told).isprintable()


def test_https_where_there_is_none(get, server) -> None:
    get.urls = (server.url.replace("http:", "https:"),)
    with pytest.raises(DownloadError, match="can not reach"):
        get()


def test_a_proxy_that_is_not_there(get, monkeypatch) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with pytest.raises(DownloadError, match="through the proxy: Connection refused"):
        get()
    assert get.told == []


def test_the_next_address_goes_on_with_what_the_first_brought(get, server) -> None:
    server.answers = [breaks_off(100_000), says(404), well]
    get.urls = (server.url, server.url.replace("127.0.0.1", "secret@127.0.0.1"))
    assert get()
    get.check_whole()
    assert server.asked[1] is not None
    assert server.asked[2] == server.asked[1]
    assert "404 Not Found" in get.told[1]
    assert "secret" not in "".join(get.told)


def test_a_redirect_is_followed(get, server) -> None:
    server.answers = [says(302, Location="/elsewhere"), well]
    assert get()
    get.check_whole()


def test_a_file_of_somebody_else_is_left_alone(get, server) -> None:
    get.folder.mkdir(parents=True)
    (get.folder / "file").write_bytes(b"my own training")
    with pytest.raises(FileExistsError, match="move it away"):
        get()
    assert (get.folder / "file").read_bytes() == b"my own training"
    assert server.asked == []


def test_a_folder_that_can_not_be_written(get, server, ordinary_user) -> None:
    get.folder.mkdir(parents=True, mode=0o555)
    with ordinary_user(), pytest.raises(PermissionError):
        get()
    assert server.asked == []


def test_a_full_disk(get, server) -> None:
    get.folder.mkdir(parents=True)
    get.part.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        get()


def test_a_file_larger_than_the_disk_is_not_begun(get, server) -> None:
    file = PublishedFile("file", get.urls, 1 << 60, "")
    with pytest.raises(OSError, match="MB needed"):
        fetch(file, get.folder, tell=print, on_bytes=print)
    assert server.asked == []
    assert get.names == []


@pytest.mark.parametrize("first", [well, says(404)], ids=["succeeds", "fails"])
def test_of_two_at_once_one_waits(first, get, server) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(request: Request) -> None:
        begun.set()
        go_on.wait(10)
        first(request)

    server.answers = [slow, well]
    other = Fetch(get.folder, server.url)
    with ThreadPoolExecutor() as pool:
        one = pool.submit(get)
        assert begun.wait(10)
        two = pool.submit(other)
        while not other.told and not two.done():
            time.sleep(0.01)
        go_on.set()
    assert "another process" in other.told[0]
    assert (one.exception() is None) == (first is well)
    # The other one fetches it only where the first could not.
    assert two.result() == (first is not well)
    get.check_whole()
