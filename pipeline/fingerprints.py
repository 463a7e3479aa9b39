"""Short labels of what a result depends on, to tell when it is outdated."""

import hashlib
import json
from pathlib import Path


def fingerprint(**parts: object) -> str:
    """Label values: the same for the same, in any process and on any machine."""
    text = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def of_file(path: Path) -> str:
    """Label what a file holds."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
