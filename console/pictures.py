"""Pictures of the user's photos, always made anew: never a file as it is."""

import hashlib
import io
from typing import Final

from flask import Blueprint, current_app, g, request
from flask.typing import ResponseReturnValue
from PIL import Image
from werkzeug.exceptions import NotFound

from console.backing import backing, desk, picture_cache, store
from console.finding import rows_named
from console.thumbnails import thumbnail
from models.images import BadPhotoError, decode

blueprint: Final = Blueprint("pictures", __name__)

# Sharp at the width that a card has on a screen of two pixels a point.
_SMALL_PX: Final = 400
_LARGE_PX: Final = 1600
_LARGE_QUALITY: Final = 82
_FRESH_S: Final = 3600


@blueprint.get("/photos/<photo_id>/<any(small, large):kind>")
def photo(photo_id: str, kind: str) -> ResponseReturnValue:
    """A photo of the library, by its id; no path is ever taken from a request."""
    rows = rows_named(store(), g.user, [photo_id])
    if not rows:
        raise NotFound("no such photo of yours")
    return _picture(rows[0]["path"], rows[0]["sha256"], kind)


@blueprint.get("/trash/<run>/<photo_id>/<any(small, large):kind>")
def trashed(run: str, photo_id: str, kind: str) -> ResponseReturnValue:
    """A photo that is in the trash."""
    runs = desk().runs
    # A page asks for one picture after the other of the same few runs. Another thread
    # may forget them at any moment.
    files = runs.get(run)
    if files is None:
        records = store().trashed(g.user, run=run)
        files = {one.id: one.files[0] for one in records}
        if files:
            runs[run] = files
    if photo_id not in files:
        raise NotFound("no such photo in your trash")
    file = files[photo_id]
    return _picture(file.trash_path, file.sha256, kind)


def _picture(path: str, sha256: str, kind: str) -> ResponseReturnValue:
    response = current_app.response_class(mimetype="image/webp")
    response.set_etag(f"{sha256}-{kind}")
    response.cache_control.private = True
    response.cache_control.max_age = _FRESH_S
    if request.if_none_match.contains(f"{sha256}-{kind}"):
        response.status_code = 304
        return response
    made = picture_cache().get((sha256, kind), lambda: _make(path, sha256, kind))
    response.set_data(made)
    return response


def _make(path: str, sha256: str, kind: str) -> bytes:
    try:
        encoded = backing().read(path)
    except OSError as err:
        gone = isinstance(err, FileNotFoundError)
        why = "is no longer there" if gone else "can not be read"
        raise NotFound(f"the photo {why}") from err
    if hashlib.sha256(encoded).hexdigest() != sha256:
        raise NotFound("the photo has changed since it was analysed")
    try:
        return thumbnail(encoded, _SMALL_PX) if kind == "small" else _large(encoded)
    except BadPhotoError as err:
        raise NotFound(f"the photo can not be shown: {err}") from err


def _large(encoded: bytes) -> bytes:
    out = io.BytesIO()
    rgb = decode(encoded, side_px=_LARGE_PX).rgb
    Image.fromarray(rgb).save(out, "WEBP", quality=_LARGE_QUALITY, method=2)
    return out.getvalue()
