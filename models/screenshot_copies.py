"""Hard cases made of real pictures: what messengers, people and scanners make.

Copies of screenshots that are still to be found, and of photos that are still
none. A seeded generator decides what is left to chance.
"""

import io
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Rng = np.random.Generator
Copy = Callable[[Image.Image, Rng], bytes]
T = TypeVar("T")

# Words of every length; what they say does not matter.
_WORDS: Final = (
    *("the", "photos", "that", "nobody", "needs", "to", "keep", "are", "shaken,"),
    *("too", "dark", "or", "screenshots;", "a", "recommendation", "for", "each"),
    *("of", "them", "says", "why", "and", "when,", "in", "2024."),
)
# Of paper and ink.
_CAPTIONS: Final = (
    *(("white", "black"), ("white", "black"), ("black", "white")),
    *(("#ffd400", "black"), ("#1b2838", "white")),
)
_PAGE_SIZE_PX: Final = (992, 1403)  # A4 at 120 dpi


def jpeg(image: Image.Image, quality: int) -> bytes:
    return _encoded(image, "JPEG", quality=quality)


def png(image: Image.Image, _: Rng | None = None) -> bytes:
    return _encoded(image, "PNG")


def _encoded(image: Image.Image, image_format: str, **options: int) -> bytes:
    out = io.BytesIO()
    image.convert("RGB").save(out, image_format, **options)
    return out.getvalue()


def flattened(image: Image.Image) -> Image.Image:
    """RGB; what is transparent becomes white."""
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert(
        "RGB"
    )


def messenger(image: Image.Image, rng: Rng) -> bytes:
    """At most 1280 or 720 px, JPEG, no EXIF."""
    small = _fitted(image, int(rng.choice([1280, 720])))
    return jpeg(small, int(rng.integers(50, 81)))


def without_status_bar(image: Image.Image, rng: Rng) -> bytes:
    top = round(image.height * rng.uniform(0.04, 0.08))
    return messenger(image.crop((0, top, image.width, image.height)), rng)


def three_quarters(image: Image.Image, rng: Rng) -> bytes:
    """A quarter is cut off on one side."""
    (w, h), side = image.size, rng.integers(4)
    box = [(w // 4, 0, w, h), (0, 0, w - w // 4, h), (0, h // 4, w, h)][side % 3]
    return messenger(image.crop((0, 0, w, h - h // 4) if side == 3 else box), rng)


def quarter(image: Image.Image, rng: Rng) -> bytes:
    """Half the width and half the height, from anywhere."""
    w, h = image.width // 2, image.height // 2
    x, y = int(rng.integers(w + 1)), int(rng.integers(h + 1))
    return messenger(image.crop((x, y, x + w, y + h)), rng)


def recompressed(image: Image.Image, rng: Rng) -> bytes:
    small = _fitted(image, int(rng.choice([640, 1280])))
    return jpeg(small, int(rng.integers(25, 71)))


def bleached(image: Image.Image, rng: Rng) -> bytes:
    """Over-exposed: large parts are clipped."""
    return jpeg(image.point(lambda level: level * 1.5 + 60), 85)


def dimmed(image: Image.Image, rng: Rng) -> bytes:
    return jpeg(image.point(lambda level: level * 0.3), 85)


def blurred(image: Image.Image, rng: Rng) -> bytes:
    pixels = np.asarray(_fitted(image, 1280))
    return jpeg(Image.fromarray(cv2.GaussianBlur(pixels, (0, 0), 6)), 85)


def captioned(image: Image.Image, rng: Rng) -> bytes:
    """A meme: bars with text above, mostly below too."""
    image = _fitted(image, 1080)
    top, bottom = (round(image.height * rng.uniform(0.1, 0.35)) for _ in range(2))
    bottom *= int(rng.integers(3) > 0)
    paper, ink = _one_of(rng, _CAPTIONS)
    meme = Image.new("RGB", (image.width, image.height + top + bottom), paper)
    meme.paste(image, (0, top))
    size = round(image.width * rng.uniform(0.04, 0.09))
    _write(meme, (0, 0, image.width, top), size, ink, rng)
    _write(meme, (0, image.height + top, *meme.size), size, ink, rng)
    return jpeg(meme, int(rng.integers(60, 91)))


def written_over(image: Image.Image, rng: Rng) -> bytes:
    """A meme: large white letters with a black outline, at top and bottom."""
    meme = _fitted(image, 900).copy()
    size = round(meme.width * rng.uniform(0.08, 0.13))
    for top in (0, meme.height - round(2.8 * size)):
        box = (0, top, meme.width, top + round(2.8 * size))
        _write(meme, box, size, "white", rng, outline=True)
    return jpeg(meme, int(rng.integers(60, 91)))


def framed(image: Image.Image, rng: Rng) -> bytes:
    """A plain frame, perhaps wider below, and perhaps written on."""
    image = _fitted(image, 1280)
    rim = round(max(image.size) * rng.uniform(0.02, 0.15))
    below = rim * (1 + 2 * int(rng.integers(2)))
    size = (image.width + 2 * rim, image.height + rim + below)
    out = Image.new("RGB", size, _one_of(rng, ["white", "white", "black", "#e8e0d0"]))
    out.paste(image, (rim, rim))
    if rng.integers(2):
        line = (rim, image.height + rim, size[0] - rim, size[1])
        _write(out, line, max(10, rim // 2), "#777777", rng)
    return png(out) if rng.integers(2) else jpeg(out, 85)


def page(image: Image.Image, rng: Rng, *, paper: str = "") -> Image.Image:
    """A printed page, sometimes with a picture or a table, a little turned."""
    paper = paper or _one_of(rng, ["#fafaf8", "#f4eee0", "#ebebeb", "#e1d7c3"])
    sheet = Image.new("RGB", _PAGE_SIZE_PX, paper)
    width, height = sheet.size
    left, top = int(rng.integers(70, 130)), 100
    if rng.integers(3) == 0:
        picture = _fitted(image, 560)
        sheet.paste(picture, (left, top))
        top += picture.height + 30
    size, columns = int(rng.choice([16, 20, 24, 30])), int(rng.choice([1, 1, 2]))
    wide = (width - 2 * left) // columns
    for column in range(columns):
        box = (left + column * wide, top, left + (column + 1) * wide - 20, height - 100)
        _write(sheet, box, size, "#19191c", rng)
    if rng.integers(3) == 0:
        pen = ImageDraw.Draw(sheet)
        for n in range(9):
            pen.line((left, 700 + 50 * n, width - left, 700 + 50 * n), "#444444", 2)
    return sheet.rotate(
        rng.uniform(-1.5, 1.5), Image.Resampling.BICUBIC, fillcolor=paper
    )


def scanned(image: Image.Image, rng: Rng) -> bytes:
    """A page with the grain and the uneven light of a scanner or a phone."""
    sheet = np.asarray(page(image, rng), np.float32)
    across = np.linspace(rng.uniform(0.88, 1), rng.uniform(0.9, 1), sheet.shape[1])
    sheet = sheet * across.astype(np.float32)[:, np.newaxis]
    return _scan(_grainy(_soft(sheet, rng), rng, rng.uniform(1, 5)), rng)


def scanned_evenly(image: Image.Image, rng: Rng) -> bytes:
    """In shades of grey, evenly lit; the grain of a fine scan averages out."""
    sheet = _grainy(_soft(np.asarray(page(image, rng), np.float32), rng), rng, 0.8)
    return _scan(sheet.mean(axis=2), rng)


def scanned_clean(image: Image.Image, rng: Rng) -> bytes:
    """As apps hand it on: paper made white, ink made black."""
    sheet = _grainy(_soft(np.asarray(page(image, rng), np.float32), rng), rng, 2)
    return _scan((sheet - 60) * 1.5, rng)


def scanned_bilevel(image: Image.Image, rng: Rng) -> bytes:
    """Black and white alone, as a fax."""
    sheet = np.asarray(page(image, rng, paper="white"), np.float32)
    levels = _grainy(_soft(sheet, rng), rng, 10).mean(axis=2)
    return png(Image.fromarray(((levels > 150) * 255).astype(np.uint8)))


def photo_of_screen(image: Image.Image, rng: Rng) -> bytes:
    """A screen photographed: its grid of dots, askew, glare, vignette, noise."""
    screen = cv2.resize(
        np.asarray(_fitted(image, 1000)), None, fx=2, fy=2, interpolation=0
    ).astype(np.float32)
    screen[::2] *= rng.uniform(0.6, 0.95)
    for channel in range(3):
        screen[:, channel % 2 :: 2, channel] *= rng.uniform(0.6, 1)
    high, wide = screen.shape[:2]
    width, height = (1200, 900) if wide > high else (900, 1200)
    # It fills the photo, or leaves room for what is around it.
    fit = max if rng.integers(2) else min
    scale = fit(width / wide, height / high) * rng.uniform(0.85, 1.1)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (wide / 2, high / 2)
    moved = corners * scale * rng.uniform(0.94, 1.06, (4, 2))
    angle = np.deg2rad(rng.uniform(-5, 5))
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    middle = np.array((wide / 2, high / 2)), np.array((width / 2, height / 2))
    view = cv2.getPerspectiveTransform(
        np.asarray(corners + middle[0], np.float32),
        np.asarray(moved @ np.array(turn) + middle[1], np.float32),
    )
    room = float(rng.uniform(10, 90))
    seen = cv2.warpPerspective(
        screen, view, (width, height), borderValue=(room, room * 0.9, room * 0.8)
    )
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j]
    glare = np.exp(
        -20 * ((x - rng.uniform(-1, 1)) ** 2 + (y - rng.uniform(-1, 1)) ** 2)
    )
    light = (1 - rng.uniform(0.1, 0.6) * (x**2 + y**2)) * rng.uniform(0.7, 1.05)
    seen = seen * light[:, :, np.newaxis] + 40 * glare[:, :, np.newaxis] + 6
    return _scan(_grainy(_soft(seen, rng), rng, rng.uniform(1.5, 5)), rng)


SCREENSHOTS: Final[dict[str, Copy]] = {
    "sent": messenger,
    "sent without status bar": without_status_bar,
    "sent without a quarter": three_quarters,
    "a quarter sent": quarter,
}
PHOTOS: Final[dict[str, Copy]] = {
    "as PNG": png,
    "recompressed": recompressed,
    "over-exposed": bleached,
    "under-exposed": dimmed,
    "blurred": blurred,
    "meme with bars": captioned,
    "meme with letters": written_over,
    "with a frame": framed,
}
PAGES: Final[dict[str, Copy]] = {
    "scanned page": scanned,
    "scanned page, grey and even": scanned_evenly,
    "scanned page, clean": scanned_clean,
    "scanned page, black and white": scanned_bilevel,
}
PHOTOS_OF_SCREENS: Final[dict[str, Copy]] = {"photo of a screen": photo_of_screen}


def _fitted(image: Image.Image, side_px: int) -> Image.Image:
    scale = side_px / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _one_of(rng: Rng, choices: Sequence[T]) -> T:
    return choices[int(rng.integers(len(choices)))]


def _write(
    image: Image.Image,
    box: tuple[int, int, int, int],
    size: int,
    ink: str,
    rng: Rng,
    *,
    outline: bool = False,
) -> None:
    """Fill a box (left, top, right, bottom) with lines of text."""
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(max(10, size))
    left, top, right, bottom = box
    border = max(2, size // 16) if outline else 0
    while top + 1.3 * size < bottom:
        line = " ".join(_one_of(rng, _WORDS) for _ in range(40))
        line = line[: max(1, round(1.8 * (right - left) / size))]
        pen.text(
            (left + 8, top), line, ink, font, stroke_width=border, stroke_fill="black"
        )
        top += round(1.3 * size)


def _soft(levels: NDArray[np.float32], rng: Rng) -> NDArray[np.float32]:
    return np.asarray(
        cv2.GaussianBlur(levels, (0, 0), rng.uniform(0.5, 1.2)), np.float32
    )


def _grainy(levels: NDArray[np.float32], rng: Rng, sigma: float) -> NDArray[np.float32]:
    grain = rng.normal(0, sigma, levels.shape[:2])[:, :, np.newaxis]
    return np.asarray(levels + grain, np.float32)


def _scan(levels: NDArray[np.float32], rng: Rng) -> bytes:
    image = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    return (
        png(image) if rng.integers(3) == 0 else jpeg(image, int(rng.integers(50, 86)))
    )
