"""One HTML page of an evaluation: figures, distributions, the worst mistakes.

The page holds everything that it shows, asks for nothing from anywhere, and needs no
scripts. What comes from outside, names of files above all, is text in it and never
markup: Jinja2 escapes it, and a content security policy stands behind that.

Jinja2 and matplotlib are imported inside the functions: most commands need neither.
"""

import base64
import io
import os
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

from models.images import BadPhotoError, decode
from pipeline.evaluation import plots
from pipeline.evaluation.figures import (
    Evaluation,
    Judged,
    PairMistake,
    SubjectMistake,
    VerdictFigures,
)

if TYPE_CHECKING:
    from jinja2 import Environment

# At most so many photos of a kind of mistake, which are about 10 kB each.
SHOWN: Final = 24
# Sharp on a screen of twice the density at the size that the page gives them.
THUMBNAIL_SIDE_PX: Final = 256
_QUALITY: Final = 75
_TEMPLATE: Final = "page.html"


def write_page(evaluation: Evaluation, out: Path) -> None:
    """Write the page, whole or not at all.

    Photos that are shown are read again; one that is gone is named, not shown.

    Args:
        evaluation: What it tells.
        out: Where to, in a folder that is there; what is there is replaced.

    Raises:
        OSError: It can not be written.
    """
    text = render(evaluation)
    part = out.with_name(f"{out.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)


def render(evaluation: Evaluation) -> str:
    """The page as HTML; the same evaluation of the same photos gives the same."""
    from markupsafe import Markup

    names = {verdict.verdict: verdict for verdict in evaluation.verdicts}
    return (
        _environment(evaluation.folder, evaluation.made_folder)
        .get_template(_TEMPLATE)
        .render(
            evaluation=evaluation,
            shown=SHOWN,
            baselines={
                verdict: [
                    baseline
                    for baseline in evaluation.baselines
                    if baseline.figures.verdict == verdict
                ]
                for verdict in names
            },
            copies=[
                (verdict, list(rows))
                for verdict, rows in groupby(
                    sorted(evaluation.copies, key=lambda copy: copy.verdict),
                    key=lambda copy: copy.verdict,
                )
            ],
            # Our own drawings, whose texts matplotlib has escaped.
            distributions={
                verdict: Markup(plots.score_distribution(figures))
                for verdict, figures in names.items()
            },
            curve=Markup(
                plots.precision_recall(evaluation.objects) if evaluation.objects else ""
            ),
        )
    )


def mistake_sentence(photo: Judged, figures: VerdictFigures) -> str:
    """Why a verdict is wrong, for a person."""
    verdict = plots.named(figures.verdict)
    if photo.score is None:
        return f"Not called {verdict}: there is too little in it to judge."
    limit = number(photo.threshold)
    limit = f"below {limit}" if figures.low_is_yes else f"from {limit} on"
    because = f"{figures.score} {number(photo.score)}, called {limit}."
    if not photo.called:
        return f"Missed: not {verdict} by its {because}"
    if photo.truth is None:
        return f"Called {verdict}, and nobody labelled it: {because}"
    return f"Wrongly called {verdict}: {because}"


def subject_sentence(mistake: SubjectMistake) -> str:
    """What the subject is and what it was taken for."""
    seen = f"{mistake.seen} was" if mistake.seen else "nothing was"
    return f"The subject is {' or '.join(mistake.expected)}; {seen} seen as it."


def pair_sentence(mistake: PairMistake) -> str:
    """How two photos were wrongly grouped."""
    if mistake.truth:
        return f"Not found to be similar, though they are ({mistake.kind})."
    return f"Called similar, though they are not ({mistake.kind})."


def number(value: float) -> str:
    """At most two decimals, or two digits where that would leave none."""
    text = f"{value:,.2f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def percent(value: float) -> str:
    """A share to one decimal, or more where it would be rounded up to all."""
    return _below_all(100 * value, 100, 1)


def ranking(value: float) -> str:
    """An AUC to three decimals, or more where it would be rounded up to 1."""
    return _below_all(value, 1, 3)


def _below_all(value: float, everything: int, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    # The ends of Wilson's intervals miss 1 by their last bits.
    if float(text) == everything and everything - value > 1e-6:
        return _below_all(value, everything, decimals + 1)
    return text


def thumbnail(path: str) -> str:
    """The upright photo as a data URI of a small JPEG; "" if it can not be shown."""
    try:
        rgb = decode(Path(path).read_bytes()).rgb
    except (OSError, BadPhotoError):
        return ""
    image = Image.fromarray(rgb)
    image.thumbnail((THUMBNAIL_SIDE_PX, THUMBNAIL_SIDE_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def readable(name: str) -> str:
    """Text from a name of a file, which may be any bytes."""
    return os.fsencode(name).decode("utf-8", "replace")


def _environment(folder: str, made_folder: str) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def short(path: str) -> str:
        for above in filter(None, (made_folder, folder)):
            if Path(path).is_relative_to(above):
                return readable(os.path.relpath(path, above))
        return readable(path)

    environment.filters |= {
        "number": number,
        "percent": percent,
        "ranking": ranking,
        "readable": readable,
        "short": short,
        "named": plots.named,
        "subject_sentence": subject_sentence,
        "pair_sentence": pair_sentence,
        # A photo may be wrong in several ways.
        "thumbnail": cache(thumbnail),
        "mistake_sentence": mistake_sentence,
    }
    return environment
