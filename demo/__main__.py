"""The emulators, for a person: `python -m demo` runs them until Ctrl-C."""

import os
import signal
import sys
from typing import Final

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from demo.emulators import EmulatorError, running
from demo.pubsub import PubSub

_PROJECT: Final = "piccl-demo"
_BUCKET: Final = "photos"
_HELP: Final = """\
Emulators of Firestore, Pub/Sub and Cloud Storage are running, with the bucket
`{bucket}`, the topics `uploads` and `dead-letters`, and a subscription of each.
In two other terminals, type

{exports}

then, in the first, analyse what is announced:

  piccl stream --store firestore://{project} \\
    --subscription {uploads} \\
    --dead-letter-topic {dead_letters}

and, in the second, upload photos and look at what was found:

  piccl upload ~/Pictures --user me --bucket {bucket} \\
    --store firestore://{project} --topic {topic}
  piccl search --user me --store firestore://{project} --reason any

Ctrl-C ends the emulators and forgets what is in them."""


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running() as emulators:
            os.environ.update(emulators.environment)
            anonymous = AnonymousCredentials()
            storage.Client(_PROJECT, anonymous).create_bucket(_BUCKET)
            pubsub = PubSub(_PROJECT)
            uploads, dead_letters = map(pubsub.topic, ("uploads", "dead-letters"))
            exports = (f"  export {k}={v}" for k, v in emulators.environment.items())
            explained = _HELP.format(
                bucket=_BUCKET,
                project=_PROJECT,
                exports="\n".join(exports),
                topic=uploads,
                uploads=pubsub.subscription(uploads, "uploads"),
                dead_letters=dead_letters,
            )
            pubsub.subscription(dead_letters, "dead-letters")
            print(explained, flush=True)
            signal.pause()
    except EmulatorError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
