"""Who else judges photos, measured. A script for an environment of theirs.

    python photos.py PEER FOLDER CORES ANSWER.json

It imports nothing of PICCL, and nothing of PICCL imports it. The answer is {"name"}:
which version it was.
"""

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from unittest.mock import MagicMock

# Otherwise fastdup reports runs and crashes to its makers, and asks PyPI for a newer
# version of itself. It reads these when it is imported.
os.environ |= {"SENTRY_OPT_OUT": "1", "FASTDUP_PRODUCTION": "1"}


def cleanvision(folder: str, cores: int) -> None:
    """What of it answers our questions: dark, blurred, similar."""
    from cleanvision import Imagelab

    lab = Imagelab(data_path=folder, verbose=False)
    lab.find_issues(
        {"dark": {}, "blurry": {}, "near_duplicates": {}}, n_jobs=cores, verbose=False
    )


def fastdup(folder: str, cores: int) -> None:
    """Its whole run: features and their neighbours, and statistics of brightness."""
    import fastdup

    with tempfile.TemporaryDirectory() as work:
        run = fastdup.create(work_dir=work, input_dir=folder)
        run.run(num_threads=cores, print_summary=False, run_sentry=False)
        if len(run.img_stats()) != len(os.listdir(folder)):
            raise RuntimeError("fastdup did not read all photos")


def imagededup(folder: str, cores: int) -> None:
    """Its perceptual hashes, which of its methods need no weights off the network."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        # Its wheel does not load beside a torch without CUDA. Only the network that
        # is not asked here needs it, but importing the hashes imports it too.
        for part in ("", ".models", ".models.vision_transformer", ".transforms"):
            sys.modules[f"torchvision{part}"] = MagicMock()
    from imagededup.methods import PHash

    hasher = PHash(verbose=False)
    encoded = hasher.encode_images(folder, num_enc_workers=cores)
    hasher.find_duplicates(encoding_map=encoded, num_dist_workers=cores)


def main(peer: str, folder: str, cores: str, answer: str) -> None:
    asks = {ask.__name__: ask for ask in (cleanvision, fastdup, imagededup)}
    name = f"{peer} {version(peer)}"
    asks[peer](folder, int(cores))
    Path(answer).write_text(json.dumps({"name": name}))


if __name__ == "__main__":
    main(*sys.argv[1:])
