"""`piccl upload`: back photos up."""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from pipeline.check_addresses import check_addresses, check_user
from pipeline.errors import UsageError, no_credentials
from store.urls import DEFAULT_URL, URL_FORMS

if TYPE_CHECKING:
    from google.cloud.storage import Blob
    from rich.console import Console

    from pipeline.upload_summary import UploadSummary
    from pipeline.uploading import Uploader

DESCRIPTION: Final = """\
Backs photos up to gs://BUCKET/users/USER/photos/, with their checksum and the
time of the file, by which a photo that tells none itself is dated.

FILES are files, folders (searched to any depth) or quoted globs. What a folder
holds is named by the folder and the path in it, a file by its own name. What is
there already is skipped, so the same command again uploads only what is new, and
an interrupted one goes on. Nothing is ever overwritten: another photo of a name
that is taken gets part of its checksum into its name, as in IMG_1~1a2b3c4d.jpg.

  piccl upload ~/Pictures --user me --bucket my-photos
  piccl upload DSC_*.jpg --user me --bucket my-photos --email me@example.com"""

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_STORAGE_EMULATOR: Final = "STORAGE_EMULATOR_HOST"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILES", help="what to back up")
    parser.add_argument("--user", required=True, metavar="U", help="whose photos")
    parser.add_argument(
        "--bucket", required=True, metavar="B", help="Cloud Storage bucket to put them"
    )
    parser.add_argument(
        "--email", type=_email, metavar="E", help="remember this address of the user"
    )
    parser.add_argument(
        "--store",
        default=DEFAULT_URL,
        metavar="URL",
        help=f"where the user is registered: {URL_FORMS} (default: %(default)s)",
    )
    parser.add_argument(
        "--topic",
        metavar="T",
        help="with emulators only, where no bucket announces its objects: publish "
        "that to projects/P/topics/T",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the summary as JSON on stdout"
    )


def run(args: argparse.Namespace, beam_args: Sequence[str]) -> int:
    from rich.console import Console

    from pipeline.upload_summary import print_summary

    if beam_args:
        raise UsageError(f"unknown option: {' '.join(beam_args)}")
    check_user(args.user)
    bucket = args.bucket.removeprefix("gs://").rstrip("/")
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(f"--bucket {args.bucket}: this can not be a bucket's name")
    announce = None if args.topic is None else _announcer(args.topic, bucket)
    addresses = [os.path.expanduser(address) for address in args.files]
    for address in addresses:
        if address.startswith("gs://"):
            raise UsageError(f"{address} is in a bucket already; upload local files")
    check_addresses(addresses, args.user, prune=False)

    console = Console(stderr=True)
    console.print(f"Listing gs://{bucket}/users/{args.user}/photos/", markup=False)
    uploader = _open_bucket(bucket, args.user, announce)
    _register(args.store, args.user, args.email)
    summary = _upload(uploader, addresses, args.user, console)
    if args.json:
        json.dump(summary.as_json(), sys.stdout, indent=2)
        print()
    else:
        print_summary(Console(), summary)
    if summary.not_tried:
        print(
            f"piccl: the bucket failed too often, {summary.not_tried:,} files were not "
            "tried; the same command goes on there",
            file=sys.stderr,
        )
    return 1 if summary.failed or summary.not_tried else 0


def _upload(
    uploader: "Uploader", addresses: Sequence[str], user_id: str, console: "Console"
) -> "UploadSummary":
    from pipeline.local_files import named_files
    from pipeline.progress import show_progress
    from pipeline.upload_summary import UploadSummary

    summary = UploadSummary()
    started_s = time.monotonic()
    with show_progress(
        console, lambda: (summary.files, summary.done, "Uploading photos")
    ):
        # Once more than needed, but it is quick, and tells how long it will take.
        summary.files = sum(1 for _ in named_files(addresses, user_id))
        for outcome in uploader.upload_all(named_files(addresses, user_id)):
            summary.add(outcome)
    summary.seconds = time.monotonic() - started_s
    return summary


def _open_bucket(
    name: str, user_id: str, announce: "Callable[[Blob], None] | None"
) -> "Uploader":
    """Look at what is in the bucket.

    Raises:
        UsageError: It is not there, or not for this user of Google Cloud.
    """
    from google.api_core.exceptions import Forbidden, NotFound, Unauthorized
    from google.auth.exceptions import GoogleAuthError

    from pipeline.uploading import Uploader
    from transforms.buckets import storage_client

    try:
        uploader = Uploader(storage_client().bucket(name), user_id, announce)
        uploader.list_bucket()
    except NotFound as err:
        raise UsageError(f"--bucket {name}: there is no such bucket") from err
    except (Forbidden, Unauthorized) as err:
        raise UsageError(
            f"--bucket {name}: no permission to list, read and create its objects; the "
            "role storage.objectUser gives it"
        ) from err
    except GoogleAuthError as err:
        raise no_credentials(err) from err
    return uploader


def _announcer(topic: str, bucket: str) -> "Callable[[Blob], None]":
    """Publishes what a bucket would publish of a new object.

    Raises:
        UsageError: The bucket does so itself, or it can not be published.
    """
    if _STORAGE_EMULATOR not in os.environ:
        raise UsageError(
            "--topic is for emulators; a real bucket announces its objects itself "
            f"after `gcloud storage buckets notifications create gs://{bucket} "
            f"--topic={topic.rpartition('/')[2]} --payload-format=json "
            "--event-types=OBJECT_FINALIZE,OBJECT_DELETE,OBJECT_ARCHIVE`"
        )
    from google.cloud import pubsub_v1

    from pipeline.check_pubsub import EMULATOR, check_topic
    from transforms.announcements import announcement_of

    if EMULATOR not in os.environ:
        raise UsageError(f"--topic: {_STORAGE_EMULATOR} is set and {EMULATOR} is not")
    check_topic("--topic", topic)
    publisher = pubsub_v1.PublisherClient()

    def announce(blob: "Blob") -> None:
        data, attributes = announcement_of(blob)
        publisher.publish(topic, data, **attributes).result()

    return announce


def _register(url: str, user_id: str, email: str | None) -> None:
    from store.records import StoreError
    from store.urls import open_store

    try:
        store = open_store(url)
        store.prepare()
        store.register(user_id, email)
        store.close()
    except StoreError as err:
        raise UsageError(str(err)) from err


def _email(text: str) -> str:
    if "@" not in text.strip("@") or any(c.isspace() for c in text):
        raise argparse.ArgumentTypeError(f"{text!r} is no e-mail address")
    return text
