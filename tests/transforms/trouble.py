"""A server before the Cloud Storage emulator, which makes trouble as networks do."""

import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

# Called with the request; whether it has dealt with it.
Trouble = Callable[["_Handler"], bool]


@dataclass
class Proxy:
    """Hands requests on to the emulator that STORAGE_EMULATOR_HOST names.

    Attributes:
        url: What clients take for the emulator.
        trouble: What happens to the next requests for objects, one each, before
            the emulator answers again.
        asked: Paths of the requests for objects, with their queries.
    """

    url: str = ""
    trouble: list[Trouble] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy

    def do_GET(self) -> None:
        # Of each bucket that it meets, the client also asks what it is.
        is_object = "/o/" in self.path
        if is_object:
            self.proxy.asked.append(self.path)
        trouble = self.proxy.trouble
        if not (is_object and trouble and trouble.pop(0)(self)):
            self.forward()

    def forward(
        self,
        headers: dict[str, str] | None = None,
        change: Callable[[bytes], bytes] = lambda body: body,
    ) -> None:
        host = os.environ["STORAGE_EMULATOR_HOST"].removeprefix("http://")
        emulator = http.client.HTTPConnection(host)
        emulator.request("GET", self.path, headers=dict(self.headers))
        answer = emulator.getresponse()
        body = answer.read()
        emulator.close()
        self.send_response(answer.status)
        for name, value in {**dict(answer.getheaders()), **(headers or {})}.items():
            if name.lower() not in ("transfer-encoding", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(change(body))

    def log_message(self, *_: object) -> None:
        pass


def answers(status: int) -> Trouble:
    """The bucket answers with an error."""

    def answer(request: _Handler) -> bool:
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()
        return True

    return answer


def sends(
    headers: dict[str, str] | None = None,
    change: Callable[[bytes], bytes] = lambda body: body,
) -> Trouble:
    """The answer is the emulator's, but for some headers and what is sent of it."""

    def send(request: _Handler) -> bool:
        request.forward(headers, change)
        return True

    return send


def hangs_up(request: _Handler) -> bool:
    request.connection.shutdown(socket.SHUT_RDWR)
    return True


def is_slow(_: _Handler) -> bool:
    # Longer than tests let a request wait.
    time.sleep(1.0)
    return False


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that did not wait are none of ours."""


@contextmanager
def running_proxy() -> Iterator[Proxy]:
    """Serve on a free port meanwhile."""
    proxy = Proxy()
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with _Server(("127.0.0.1", 0), handler) as server:
        proxy.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


def lead_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `gs://` in this process lead there."""
    client = storage.Client(
        project="p",
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": url},
    )
    monkeypatch.setattr("transforms.buckets.storage_client", lambda: client)
