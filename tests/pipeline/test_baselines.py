"""The others that judge the same photos: rules of one number, and the peers."""

import io
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models import blur
from pipeline.errors import UsageError
from pipeline.evaluation import baselines, peers
from pipeline.evaluation.figures import Judged

SMALL, FULL = "variance of Laplacian, 512 px", "variance of Laplacian, full size"


def _judged(
    path: str, *, truth: bool | None = None, score: float | None = None, group: str = ""
) -> Judged:
    return Judged(path, "kind", truth, False, score, 0.5, True, True, group or path)


def _encoded(rgb: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "PNG")
    return file.getvalue()


def test_numbers_of_a_photo() -> None:
    left_white = np.zeros((600, 800, 3), np.uint8)
    left_white[:, :400] = 255
    scores = baselines.plain_scores(_encoded(left_white))
    assert scores["mean of luma"] == pytest.approx(127.5, abs=0.01)
    assert scores["spread of luma"] == pytest.approx(127.5, abs=0.01)
    assert scores["maximum of luma"] == scores["99th percentile of luma"] == 255
    # Of the 800 columns two answer, with 255 and -255.
    assert scores[FULL] == round(blur.laplacian_variance(left_white[:, :, 0]), 2)
    assert scores[FULL] == pytest.approx(2 * 255**2 / 800, abs=0.01)
    assert scores[SMALL] == pytest.approx(2 * 255**2 / 512, abs=0.01)


def test_unreadable_photo_has_no_numbers_and_is_not_called() -> None:
    assert baselines.plain_scores(b"no photo") == {}
    (photo,) = baselines.judge_plainly([_judged("a")], [None], 400.0)
    assert (photo.score, photo.called, photo.held_out) == (None, False, False)


def test_published_threshold_is_that_of_every_photo() -> None:
    photos = [_judged("a", truth=True), _judged("b", truth=False)]
    low, high = baselines.judge_plainly(photos, [399.99, 400.0], 400.0)
    assert (low.called, high.called) == (True, False)
    assert low.threshold == high.threshold == 400.0
    assert (low.truth, high.truth) == (True, False)


def test_threshold_calls_one_in_a_hundred_of_the_other_sources() -> None:
    no = [_judged(f"{n}", truth=False, score=float(n)) for n in range(1000)]
    yes = [_judged(f"yes{n}", truth=True, score=-1.0) for n in range(50)]
    limits = baselines.choose_thresholds([*no, *yes])
    called = sum(
        photo.score < limit for photo, limit in zip(no, limits[:1000], strict=True)
    )
    assert 5 <= called <= 15
    # Each from some 800 of the others.
    assert all(8 <= limit <= 13 for limit in limits)


def test_threshold_is_chosen_without_the_source_it_judges() -> None:
    def limits(first: float) -> list[float]:
        photos = [
            _judged(
                f"{source}{n}",
                truth=False,
                score=first if source == 0 else 10.0 * source + n,
                group=f"{source}",
            )
            for source in range(20)
            for n in range(10)
        ]
        return baselines.choose_thresholds(photos)

    low, high = limits(-1000.0), limits(1000.0)
    assert low[:10] == high[:10]
    assert low[-1] != high[-1]


def test_nothing_is_called_where_no_other_source_has_a_no() -> None:
    photos = [_judged("a", truth=False, score=5.0), _judged("b", truth=True, score=1.0)]
    again = baselines.judge_plainly(photos, [5.0, 1.0], None)
    alone = baselines.judge_plainly(photos[1:], [1.0], None)
    assert again[0].threshold == 0
    assert [photo.called for photo in (again[0], *alone)] == [False, False]


def test_peers_are_asked_about_copies_of_names_that_nobody_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [tmp_path / 'a,"b"\n.JPG', tmp_path / "c.p,g", tmp_path / "-d"]
    for number, photo in enumerate(photos):
        photo.write_bytes(b"%d" % number)
    asked: list[str] = []

    def ask(links: Sequence[str]) -> list[dict[str, Any]]:
        asked.extend(Path(link).name for link in links)
        content = [float(Path(link).read_bytes()) for link in links]
        return [{"name": "peer", "photos": [[score, True] for score in content]}]

    monkeypatch.setattr(peers, "ask_cleanvision", ask)
    monkeypatch.setattr(peers, "ask_fastdup", lambda links: [])
    listing, out = tmp_path / "photos.json", tmp_path / "verdicts.json"
    listing.write_text(json.dumps([str(photo) for photo in photos]))
    peers.main(str(listing), str(out))
    assert asked == ["000000.jpg", "000001", "000002"]
    assert json.loads(out.read_text()) == [
        {"name": "peer", "photos": [[0.0, True], [1.0, True], [2.0, True]]}
    ]


# What a peer may answer, and that it may talk meanwhile.
ANSWERING = """\
import json, sys
print("analysing ...")
photos = json.load(open(sys.argv[1]))
answers = [[3.0, True] if "a" in photo else None for photo in photos]
peer = {"name": "peer 1.0", "verdict": "dark", "score": "mean", "threshold": 4.0}
json.dump([{**peer, "photos": answers}], open(sys.argv[2], "w"))
"""
FAILING = "import sys; sys.exit('a line\\nno module named peer')"


def _script(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(text)
    monkeypatch.setattr(baselines, "_SCRIPT", path)


def test_all_judge_the_same_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _script(tmp_path / "script.py", ANSWERING, monkeypatch)
    monkeypatch.chdir(tmp_path)
    for name, level in (("a.png", 3), ("b.png", 100), ("c.png", 200)):
        pixels = np.full((64, 64, 3), level, np.uint8)
        (tmp_path / name).write_bytes(_encoded(pixels))
    photos = [
        _judged("a.png", truth=True),
        _judged("b.png", truth=False, group="one"),
        _judged("c.png", truth=False, group="one"),
    ]
    measured = list(
        baselines.measure({"dark": photos, "screenshot": photos}, Path(sys.executable))
    )
    names = [(one.name, one.figures.score) for one in measured]
    assert names[:2] == [("peer 1.0", "mean"), ("plain rule", "mean of luma")]
    assert len(names) == 5
    for one in measured:
        figures = one.figures
        assert (figures.verdict, figures.yes, figures.no) == ("dark", 1, 2)
        assert figures.held_out == 0, "these have learned from no photo"
    peer, mean = measured[0].figures, measured[1].figures
    assert (peer.recall.hits, peer.false_alarms.hits, peer.threshold) == (1, 0, 4.0)
    assert peer.no_scores == (), "it could not read two of them"
    assert (mean.recall.hits, mean.false_alarms.hits) == (1, 0)
    assert mean.auc is not None
    assert mean.auc.value == 1


def test_nothing_to_judge_asks_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _script(tmp_path / "script.py", FAILING, monkeypatch)
    assert list(baselines.measure({"dark": []}, Path(sys.executable))) == []


def test_failing_peers_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _script(tmp_path / "script.py", FAILING, monkeypatch)
    with pytest.raises(RuntimeError, match=r"no module named peer$"):
        baselines.ask_peers(["a"], Path(sys.executable))


@pytest.mark.parametrize(
    "python", [Path("not/there/python"), Path(sys.executable)], ids=["missing", "bare"]
)
def test_environment_without_the_peers_says_how_to_get_it(python: Path) -> None:
    with pytest.raises(UsageError, match=r"make baselines.*--baseline-python") as error:
        baselines.check_python(python)
    assert str(python) in str(error.value)


@pytest.mark.soak
def test_real_peers_answer(tmp_path: Path) -> None:
    """`make baselines` runs this, in whose environment they are."""
    baselines.check_python(baselines.DEFAULT_PYTHON)
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    smooth = np.zeros_like(noise) + np.linspace(0, 255, 640, dtype=np.uint8)[:, None]
    paths = [str(tmp_path / name) for name in ('n,"o".png', "smooth.png", "black.png")]
    for path, pixels in zip(paths, (noise, smooth, np.zeros_like(noise)), strict=True):
        Path(path).write_bytes(_encoded(pixels))
    broken = str(tmp_path / "broken.jpg")
    Path(broken).write_bytes(b"no photo")
    answers = baselines.ask_peers([*paths, broken], baselines.DEFAULT_PYTHON)
    assert [(peer.name.split()[0], peer.verdict) for peer in answers] == [
        ("CleanVision", "shaken"),
        ("CleanVision", "dark"),
        ("fastdup", "shaken"),
        ("fastdup", "dark"),
    ]
    for peer in answers:
        assert peer.photos[broken] is None
        scores = [peer.photos[path] or (math.nan, False) for path in paths]
        called = [verdict for _, verdict in scores]
        assert called == [score < peer.threshold for score, _ in scores]
        if peer.verdict == "dark":
            assert called == [False, False, True], peer
        else:
            # CleanVision calls not even the smooth one blurred.
            assert called[:2] == [False, "fastdup" in peer.name], peer
