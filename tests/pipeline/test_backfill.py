"""The whole backfill on real photos, as a person runs it."""

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import apache_beam as beam
import pytest
import simplejpeg
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import PipelineVisitor
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import EmbeddedPythonEnvironment
from PIL import Image

from pipeline.__main__ import main
from pipeline.analyse import analysis_settings
from pipeline.backfill import build_backfill
from transforms.detect_objects import DetectorModelHandler
from transforms.score_darkness import DarknessModelHandler


@pytest.fixture(scope="module")
def everything(shared_photos: Path, tmp_path_factory) -> tuple[Path, dict, list[dict]]:
    """One backfill of all the labelled photos: database, summary, dead letters."""
    folder = tmp_path_factory.mktemp("everything")
    db, dead = folder / "piccl.db", folder / "dead.jsonl"
    out = folder / "summary.json"
    with pytest.MonkeyPatch.context() as patch, out.open("w") as stdout:
        patch.setattr("sys.stdout", stdout)
        code = main(
            [
                "backfill",
                str(shared_photos),
                "--user=me",
                f"--store=sqlite:///{db}",
                f"--dead-letters={dead}",
                "--json",
            ]
        )
    assert code == 0
    letters = [json.loads(line) for line in dead.read_text().splitlines()]
    return db, json.loads(out.read_text()), letters


def test_every_file_ends_exactly_once(everything, shared_photos) -> None:
    db, summary, letters = everything
    files = {str(p.resolve()) for p in shared_photos.rglob("*") if p.is_file()}
    with closing(sqlite3.connect(db)) as reader:
        stored = [path for (path,) in reader.execute("SELECT path FROM photos")]
    ended = Counter([*stored, *(letter["path"] for letter in letters)])
    assert set(ended) == files
    assert set(ended.values()) == {1}

    assert summary["read"] == len(files)
    assert summary["analysed"] == len(stored)
    assert sum(summary["dead_letters"].values()) == len(letters)
    assert summary["read"] == (summary["analysed"] + summary["skipped"] + len(letters))


def test_dead_letters_tell_step_reason_and_path(everything) -> None:
    _, _, letters = everything
    assert letters
    for letter in letters:
        assert letter["step"] == "LoadPhotos"
        assert letter["user_id"] == "me"
        assert Path(letter["path"]).is_file()
        assert letter["reason"] in {
            "not a photo",
            "empty file",
            "too large",
            "damaged",
            "damaged header",
        }
        assert "Traceback" not in letter["detail"]
        assert "\n" not in letter["detail"]


def test_every_photo_has_its_tags_and_deletions(everything) -> None:
    db, summary, _ = everything
    with closing(sqlite3.connect(db)) as reader:
        for table in ("photos", "tags", "deletions"):
            (number,) = reader.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert number == summary["photos"]
        tagged = "SELECT count(*) FROM tags WHERE person IS NOT NULL"
        assert reader.execute(tagged).fetchone() == (0,)
        waiting = "SELECT count(*) FROM photos WHERE pending_dates <> '[]'"
        assert reader.execute(waiting).fetchone() == (0,)


def test_groups_keep_one_and_recommend_the_others(everything) -> None:
    db, _, _ = everything
    with closing(sqlite3.connect(db)) as reader:
        groups = reader.execute(
            """SELECT similar_group, count(*), sum(similar), count(DISTINCT keeper),
                      sum("delete"), max(photos.id = keeper AND "delete")
               FROM photos JOIN deletions USING (user_id, id)
               WHERE similar_group IS NOT NULL GROUP BY similar_group"""
        ).fetchall()
    assert groups
    for _, members, similar, keepers, recommended, keeper_recommended in groups:
        assert members >= 2
        assert similar == members - 1
        assert keepers == 1
        assert recommended < members
        assert not keeper_recommended


def test_a_photo_is_decoded_once(tmp_path, jpeg, backfill, monkeypatch) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(5):
        (folder / f"{i}.jpg").write_bytes(jpeg(i, taken_at="2024:05:01 12:00:00"))
    Image.new("RGB", (800, 600), "teal").save(folder / "drawn.png")

    decodes: Counter[str] = Counter()
    get_decoder, decode_jpeg = Image._getdecoder, simplejpeg.decode_jpeg

    def by_pillow(mode, decoder_name, *args):
        decodes[decoder_name] += 1
        return get_decoder(mode, decoder_name, *args)

    def by_simplejpeg(*args, **kwargs):
        decodes["simplejpeg"] += 1
        return decode_jpeg(*args, **kwargs)

    monkeypatch.setattr(Image, "_getdecoder", by_pillow)
    monkeypatch.setattr(simplejpeg, "decode_jpeg", by_simplejpeg)
    assert backfill(folder, db=tmp_path / "piccl.db") == 0
    assert decodes == {"simplejpeg": 5, "zip": 1}


@pytest.mark.parametrize("handler", [DarknessModelHandler, DetectorModelHandler])
def test_models_are_loaded_only_for_photos_that_need_them(
    handler, tmp_path, jpeg, backfill, tiny_weights, monkeypatch
) -> None:
    folder, db = tmp_path / "photos", tmp_path / "piccl.db"
    folder.mkdir()
    for i in range(5):
        (folder / f"{i}.jpg").write_bytes(jpeg(i))
    assert backfill(folder, db=db, flags=(tiny_weights,)) == 0

    def load_model(_: object) -> None:
        raise AssertionError("it was loaded")

    monkeypatch.setattr(handler, "load_model", load_model)
    assert backfill(folder, db=db, flags=(tiny_weights,)) == 0
    (folder / "new.jpg").write_bytes(jpeg(5))
    assert backfill(folder, db=db, flags=(tiny_weights,)) == 1


def test_skipping_needs_no_tensorflow(tmp_path, jpeg, backfill, tiny_weights) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(jpeg(1))
    db = tmp_path / "piccl.db"
    assert backfill(tmp_path / "photos", db=db, flags=(tiny_weights,)) == 0
    arguments = ["backfill", f"{tmp_path}/photos", "--user=me", tiny_weights]
    code = f"""if True:
        import sys
        from pipeline.__main__ import main
        assert main({[*arguments, f"--store=sqlite:///{db}"]}) == 0
        assert "apache_beam" in sys.modules
        print([name for name in ("tensorflow", "keras") if name in sys.modules])
    """
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture
def graph(tmp_path) -> beam.Pipeline:
    """The graph of a backfill with all its branches, not run."""
    # The files are named and labelled; only a job that runs reads them.
    for name in ("some.cfg", "some.weights"):
        (tmp_path / name).touch()
    options = PipelineOptions(
        ["--prune", f"--weights={tmp_path / 'some.weights'}"],
        store=f"sqlite:///{tmp_path}/piccl.db",
    )
    pipeline = beam.Pipeline(options=options)
    build_backfill(
        pipeline,
        ["/photos"],
        "me",
        analysis_settings(options),
        dead_letters=str(tmp_path / "dead.jsonl"),
        prune=True,
    )
    return pipeline


class _Shuffles(PipelineVisitor):
    def __init__(self) -> None:
        self.types: dict[str, str] = {}

    def visit_transform(self, node) -> None:
        if isinstance(node.transform, beam.GroupByKey):
            (pcoll,) = node.inputs
            self.types[node.full_label] = str(pcoll.element_type)


def test_pixels_never_enter_a_shuffle(graph) -> None:
    shuffles = _Shuffles()
    graph.visit(shuffles)
    event = "<class 'transforms.elements.UploadEvent'>"
    assert shuffles.types == {
        "ListUploads/GroupById": f"Tuple[<class 'str'>, {event}]",
        "FindRemoved/Compare/CoGroupByKeyImpl/GroupByKey": (
            f"Tuple[<class 'str'>, Tuple[<class 'str'>, {event}]]"
        ),
        "GroupSimilar/GroupByUserAndDate": (
            "Tuple[Tuple[<class 'str'>, <class 'str'>], None]"
        ),
        "WriteDeadLetters/WriteLines/Write/WriteImpl/GroupByKey": (
            "Tuple[<class 'NoneType'>, <class 'str'>]"
        ),
    }


def test_all_steps_of_a_photo_are_fused(graph) -> None:
    environment = EmbeddedPythonEnvironment.default()
    _, stages = FnApiRunner().create_stages(
        graph.to_runner_api(default_environment=environment)
    )
    fused = [[step.unique_name for step in stage.transforms] for stage in stages]
    (photo_stage,) = (
        steps for steps in fused if any("/LoadPhotos/" in step for step in steps)
    )
    for name in (
        "SkipAnalysed",
        "ScoreBlur",
        "ScoreScreenshots",
        "DescribePhotos",
        "ScoreDarkness/RunInference",
        "DetectObjects/RunInference",
        "WritePhotos",
        "DetectOnlyObjects/RunInference",
        "WriteObjects",
    ):
        assert any(f"AnalysePhotos/{name}" in step for step in photo_stage), name
