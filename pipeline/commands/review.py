"""`piccl review`: look at what was found and decide, in a browser."""

import argparse
import functools
import os
import socket
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.errors import UsageError

if TYPE_CHECKING:
    from console.auth import Access
    from store.interface import Store

DESCRIPTION: Final = """\
Shows in a browser which photos nobody needs to keep, with buttons to keep, to trash
and to restore one photo, a group, or all of a page of a reason once they were seen.
What is trashed lies in a folder beside the photos until it is restored or purged.

  piccl review --user me
  piccl review --user me --host 0.0.0.0 --token-file secret
  piccl review --store firestore://PROJECT

Only this machine reaches it, unless there is a token or users sign in. In Firestore
each user sees what a Firebase ID token says is theirs. docs/review.md has the rest."""

_EVERYWHERE: Final = "0.0.0.0"
_LOOPBACK: Final = ("127.0.0.1", "localhost")
_LEAST_TOKEN: Final = 16
_THREADS: Final = 8
_FIRESTORE: Final = "firestore://"
# With it the library believes tokens that nobody signed.
_UNSIGNED: Final = "FIREBASE_AUTH_EMULATOR_HOST"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from pipeline.launch import add_job_options

    parser.add_argument("--user", metavar="U", help="whose photos; not with Firestore")
    parser.add_argument(
        "--host",
        default=_LOOPBACK[0],
        metavar="H",
        help="address to be reached at; another one needs a token or Firestore "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=8420,
        metavar="N",
        help="0 for any that is free (default: %(default)s)",
    )
    parser.add_argument(
        "--trusted-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name that browsers reach it by; may be given several times",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help=f"only who knows what it holds gets in, {_LEAST_TOKEN} characters or more",
    )
    parser.add_argument(
        "--open",
        action="store_true",
        help="open a browser on it; with a token, other users of this machine can see "
        "the link",
    )
    add_job_options(parser, _groups())


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    if beam_args:
        raise UsageError(f"unknown option: {' '.join(beam_args)}")

    from waitress.server import create_server

    from console.app import create_app
    from console.backing import Backing
    from console.refusals import log_to_terminal
    from pipeline.launch import pipeline_options
    from pipeline.options import SimilarityOptions
    from pipeline.photo_bytes import read_bytes, storage_client
    from store.records import StoreError
    from store.urls import open_store
    from transforms.settle_days import settle_days
    from trash.bin import TrashBin
    from trash.places import Places

    access, token = _access(args)
    try:
        open_store(args.store, must_exist=True).close()
    except StoreError as err:
        raise UsageError(str(err)) from err
    options = pipeline_options([], args, _groups())
    similar = options.view_as(SimilarityOptions).similar()
    places = Places(storage_client)

    def regroup(store: "Store", user_id: str) -> int:
        return settle_days(store, user_id, similar)

    # Before the application, which needs to know the port that was found.
    with _listening(args.host, args.port) as listener:
        port = listener.getsockname()[1]
        log_to_terminal(with_traceback=args.traceback)
        app = create_app(
            Backing(
                access=access,
                # A file that is taken away meanwhile is not made anew.
                open_store=functools.partial(
                    open_store,
                    args.store,
                    must_exist=not args.store.startswith(_FIRESTORE),
                ),
                open_bin=lambda store, user_id: TrashBin(store, user_id, places),
                read=read_bytes,
                regroup=regroup,
                hosts=_names(args.host, args.trusted_host),
                cookie=f"piccl-review-{port}",
                # Firestore bills them.
                counts_every_s=60 if args.store.startswith(_FIRESTORE) else 10,
            )
        )
        server = create_server(app, sockets=[listener], threads=_THREADS, ident=None)
        host = _outward() if args.host == _EVERYWHERE else args.host
        address = f"http://{host}:{port}/{f'?token={token}' if token else ''}"
        print(f"The photos: {address}\nCtrl-C ends it.", flush=True)
        if args.open:
            webbrowser.open(address)
        server.run()  # until Ctrl-C
        server.close()
    print()
    return 0


def _access(args: argparse.Namespace) -> tuple["Access", str | None]:
    """Who may look, and the token that shows it, if one does.

    Raises:
        UsageError: Somebody else could look.
    """
    from console.auth import FirebaseUser, OnlyUser, TokenHolder

    token = _token(args)
    if args.store.startswith(_FIRESTORE):
        if args.user is not None or token is not None:
            raise UsageError(
                "in Firestore the users sign in, each with a Firebase ID token: leave "
                "--user and the token out"
            )
        if os.environ.get(_UNSIGNED):
            raise UsageError(f"{_UNSIGNED} is set: tokens would not be verified")
        from console.firebase import token_verifier

        project = args.store.removeprefix(_FIRESTORE).partition("/")[0]
        return FirebaseUser(token_verifier(project)), None
    if args.user is None:
        raise UsageError("--user is needed: whose photos")
    if token is not None:
        return TokenHolder(args.user, token), token
    if args.host not in _LOOPBACK:
        raise UsageError(
            f"--host {args.host} would show the photos to whoever reaches it: give a "
            "--token-file, or stay with 127.0.0.1"
        )
    return OnlyUser(args.user), None


def _token(args: argparse.Namespace) -> str | None:
    if args.token_file is None:
        return None
    try:
        token: str = args.token_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as err:
        raise UsageError(f"can not read --token-file: {err}") from err
    # It is part of the link.
    if len(token) < _LEAST_TOKEN or not token.isascii() or not token.isalnum():
        raise UsageError(
            f"a token has at least {_LEAST_TOKEN} letters and digits: `openssl rand "
            "-hex 16` makes a good one"
        )
    return token


def _names(host: str, further: Sequence[str]) -> list[str]:
    """What browsers may call the server; a page of another name may mean harm."""
    own = [host] if host != _EVERYWHERE else [socket.gethostname(), _outward()]
    return [*_LOOPBACK, *own, *further]


def _outward() -> str:
    """This machine's address in its network; loopback if it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        try:
            # Only looks for the way there, to an address of nobody (RFC 5737).
            way.connect(("192.0.2.1", 9))
        except OSError:
            return _LOOPBACK[0]
        address: str = way.getsockname()[0]
        return address


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port))
    except (OSError, OverflowError) as err:
        why = getattr(err, "strerror", None) or err
        raise UsageError(f"can not listen on {host}:{port}: {why}") from err


def _groups() -> tuple[type, ...]:
    from pipeline.options import SimilarityOptions, StoreOptions

    return (StoreOptions, SimilarityOptions)
