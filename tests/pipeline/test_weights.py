"""`piccl weights`: what a person types and sees."""

import contextlib
import functools
import hashlib
import http.server
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.known_weights import (
    DEFAULT_MODEL,
    KNOWN_MODELS,
    installed,
    weights_folder,
)

ROOT = Path(__file__).parents[2]
FILES = [file.name for file in KNOWN_MODELS[DEFAULT_MODEL].files]


class _Files(http.server.SimpleHTTPRequestHandler):
    """The files of a folder; ranges it does not know."""

    def log_message(self, *_: object) -> None:
        pass


class _StallingFiles(_Files):
    """Half of the weights, and then nothing more."""

    over = threading.Event()

    def copyfile(self, source, outputfile) -> None:
        if self.path.endswith(".weights"):
            outputfile.write(source.read(2_000_000))
            self.over.wait(20)
        else:
            super().copyfile(source, outputfile)


@contextlib.contextmanager
def _serving(folder: Path, handler: type[_Files] = _Files) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
    )
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def piccl(tmp_path) -> Callable[..., subprocess.Popen]:
    def start(*argv: object, **kwargs) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", "weights", *map(str, argv)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"},
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | kwargs,
        )

    return start


@pytest.mark.parametrize("model", KNOWN_MODELS)
def test_the_table_knows_the_real_files(model, shared_models) -> None:
    known = KNOWN_MODELS[model]
    assert [file.name for file in known.files] == [f"{model}.cfg", f"{model}.weights"]
    for file in known.files:
        assert len(file.sha256) == 64
        assert all(url.endswith(f"/{file.name}") for url in file.urls)
        assert all(url.startswith("https://") for url in file.urls)
        # The weights of YOLOv3 itself are not among the data.
        if (shared_models / file.name).exists():
            body = (shared_models / file.name).read_bytes()
            assert len(body) == file.size_bytes
            assert hashlib.sha256(body).hexdigest() == file.sha256


def test_fetched_weights_are_found(piccl, shared_models, capsys) -> None:
    assert installed(DEFAULT_MODEL, weights_folder()) is None
    with _serving(shared_models) as url:
        process = piccl(DEFAULT_MODEL, "--url-base", url)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    cfg, weights = installed(DEFAULT_MODEL, weights_folder())
    assert out.splitlines() == [str(cfg), str(weights)]
    assert err.splitlines() == [f"{name}: fetched" for name in FILES]
    assert weights.read_bytes() == (shared_models / weights.name).read_bytes()
    # Once it is there no network is needed.
    assert main(["weights", DEFAULT_MODEL, "--url-base", url]) == 0
    captured = capsys.readouterr()
    assert captured.out == out
    assert captured.err.splitlines() == [f"{name}: is here already" for name in FILES]


def test_two_processes_at_once(piccl, shared_models, tmp_path) -> None:
    with _serving(shared_models) as url:
        both = [piccl(DEFAULT_MODEL, "--url-base", url, "--to=here") for _ in range(2)]
        said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == FILES


def test_an_interrupted_one_goes_on(piccl, shared_models, tmp_path) -> None:
    part = tmp_path / "here" / f"{FILES[1]}.part"
    with _serving(shared_models, _StallingFiles) as url:
        process = piccl(DEFAULT_MODEL, "--url-base", url, "--to=here")
        while not (part.exists() and part.stat().st_size > 1_000_000):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        _StallingFiles.over.set()
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert installed(DEFAULT_MODEL, tmp_path / "here") is None
    with _serving(shared_models) as url:
        process = piccl(DEFAULT_MODEL, "--url-base", url, "--to=here", "--json")
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    (listed,) = json.loads(out)
    assert listed["here"] == "yes"
    assert not part.exists()


def test_no_network_is_explained_in_one_line(capsys, tmp_path) -> None:
    with _serving(tmp_path) as url:
        pass  # nobody is there any more
    assert main(["weights", DEFAULT_MODEL, f"--url-base={url}", "--tries=1"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("piccl: can not reach 127.0.0.1:")
    # It names what to do instead.
    for word in ("Connection refused", *FILES, str(weights_folder()), "--url-base"):
        assert word in line


def test_a_mirror_without_the_files(capsys, tmp_path) -> None:
    with _serving(tmp_path) as url:
        assert main(["weights", DEFAULT_MODEL, f"--url-base={url}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "404 Not Found" in line


def test_a_folder_that_can_not_be_written(capsys, tmp_path, ordinary_user) -> None:
    (tmp_path / "here").mkdir(mode=0o555)
    with ordinary_user():
        assert main(["weights", DEFAULT_MODEL, f"--to={tmp_path / 'here'}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "Permission denied" in line
    assert str(tmp_path / "here") in line


def test_the_list_tells_what_is_here(capsys, shared_models) -> None:
    folder = weights_folder()
    folder.mkdir(parents=True)
    for name in (*FILES, "yolo-fastest-1.1.cfg", "yolov3.cfg"):
        (folder / name).write_bytes((shared_models / name).read_bytes())
    (folder / "yolo-fastest-1.1.weights").write_bytes(b"my own training")
    (folder / "yolov3.weights.part").write_bytes(bytes(99_203_500))
    assert main(["weights", "--json"]) == 0
    here = {one["model"]: one["here"] for one in json.loads(capsys.readouterr().out)}
    assert here == {
        "yolo-fastest-1.1": "altered",
        "yolo-fastest-1.1-xl": "yes",
        "yolov3-tiny": "no",
        "yolov3": "40%",
    }
    assert main(["weights"]) == 0
    out = capsys.readouterr().out
    for word in (*KNOWN_MODELS, "altered", "40%", str(folder), "piccl weights MODEL"):
        assert word in out


@pytest.mark.parametrize(
    "words",
    [
        ["yolov9"],
        ["yolov3", "yolov3-tiny"],
        ["yolov3", "--url-base=ftp://mirror"],
        ["yolov3", "--url-base=mirror/models"],
        ["yolov3", "--tries=0"],
        ["yolov3", "--timeout=0"],
        ["yolov3", "--nonsense"],
        ["yolov3", "--to=file"],
    ],
    ids=" ".join,
)
def test_misuse(words, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert main(["weights", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("piccl: ")


def test_a_bar_on_a_terminal(piccl, shared_models) -> None:
    reader, writer = pty.openpty()
    with _serving(shared_models) as url:
        process = piccl(DEFAULT_MODEL, "--url-base", url, stderr=writer)
        os.close(writer)
        said = b""
        # A terminal that nobody holds any more is an error to read.
        with contextlib.suppress(OSError):
            while part := os.read(reader, 1000):
                said += part
        os.close(reader)
        assert process.wait() == 0
    assert "━" in said.decode(errors="replace")
    assert f"{FILES[1]}: fetched" in said.decode(errors="replace")
