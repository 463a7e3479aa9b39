"""Labels that are known, and what each says of a photo."""

import re
from collections.abc import Mapping
from typing import Any, Final

_PHOTO: Final[Mapping[str, bool]] = {"screenshot": False}
SHARP: Final[Mapping[str, bool]] = {**_PHOTO, "presumed_sharp": True}
_MEANT: Final[Mapping[str, bool]] = {**_PHOTO, "dark": False}
# What a label says. All that is a photo is no screenshot.
KNOWN: Final[Mapping[str, Mapping[str, bool]]] = {
    "blur": {**_PHOTO, "shaken": True},
    "sharp": {**_PHOTO, "shaken": False},
    "too dark": {**_PHOTO, "dark": True},
    "dark on purpose": _MEANT,
    "night, well lit": _MEANT,
    "low key on purpose": _MEANT,
    "bright": {**SHARP, "dark": False},
    # Of these, people differ on whether they are too dark.
    "unsure": _PHOTO,
    "partly dark": _PHOTO,
    "slightly under-exposed": _PHOTO,
    "boxes": SHARP,
    "no boxes": SHARP,
    "photo": SHARP,
    "screenshot": {"screenshot": True},
    # Files that test a decoder, and whatever else must only not stop a run.
    "odd": {},
}
_ALIASES: Final = {
    "shaken": "blur",
    "blurred": "blur",
    "blurry": "blur",
    "dark": "too dark",
    "night": "night, well lit",
    "night well lit": "night, well lit",
    "low key": "low key on purpose",
    "slightly under exposed": "slightly under-exposed",
    "photos": "photo",
    "exifsample": "photo",
    "orient": "photo",
    "screenshots": "screenshot",
    **dict.fromkeys(
        (
            *("16 bit", "broken exif", "cmyk", "corrupt", "format", "format: heic"),
            *("format: webp", "fuzzed jpeg", "fuzzed png", "huge", "orientation"),
            *("progressive", "tiny", "truncated", "wrong extension", "zero byte"),
        ),
        "odd",
    ),
}
# Labels that name a collection of series; the part of a file's name that is the
# series. A mirrored copy is no shot that a camera takes, so nothing is said of it.
COLLECTIONS: Final = {
    "arezzo": re.compile(r"(arezzo_\w+)"),
    "hdrpair": re.compile(r"(hdrpair_[a-z]+)_hdr"),
    "monstree": re.compile(r"(monstree)"),
    "ukbench": re.compile(r"ukbench_.*(ukbench\d+)(?!.*hflip)"),
}


def says_of(label: str) -> dict[str, Any] | None:
    """What a label says, and the kind it makes a photo; None if it is not known.

    Returns:
        Attributes of a `LabelledPhoto`.
    """
    name = " ".join(label.strip().lower().replace("_", " ").split())
    name = name if name in KNOWN else name.replace("-", " ")
    name = _ALIASES.get(name, name)
    return {"kind": name, **KNOWN[name]} if name in KNOWN else None
