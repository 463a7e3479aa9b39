"""The graph of a stream: its windows, and what crosses its only shuffle."""

import time
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import PipelineVisitor
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing import test_stream
from apache_beam.transforms.environments import EmbeddedPythonEnvironment
from apache_beam.transforms.window import FixedWindows, IntervalWindow, TimestampedValue

from models.similarity import SimilarOptions
from pipeline.analyse import analysis_settings
from pipeline.streaming import WindowByArrival, build_stream
from store.sqlite import SqliteStore
from transforms.elements import Day
from transforms.group_similar import GroupSimilar

_REGROUP_S = 10
_DAY_S = 24 * 60 * 60
# Of a window, so that elements a few seconds apart are in the same.
_NOW_S = int(time.time()) // 30 * 30 + 5
_LOCAL = ["--runner=BundleBasedDirectRunner", "--streaming"]

# Filled by the steps below, which run in this process.
_settled: list[tuple[Day, IntervalWindow]] = []


@pytest.fixture(autouse=True)
def _nothing_settled() -> None:
    _settled.clear()


def _stream() -> test_stream.TestStream:
    """The clock and the watermark are at `_NOW_S`, as in a stream that runs."""
    return (
        test_stream.TestStream()
        .advance_processing_time(_NOW_S)
        .advance_watermark_to(_NOW_S)
    )


def _note(day: Day, window=beam.DoFn.WindowParam) -> None:
    _settled.append((day, window))


def _regroup(folder: Path, stream: test_stream.TestStream) -> list[Day]:
    """Feed days to the last step of a stream; returns them as often as it settled."""
    url = f"sqlite:///{folder}/piccl.db"
    with beam.Pipeline(options=PipelineOptions(_LOCAL)) as pipeline:
        _ = (
            pipeline
            | stream
            | beam.Map(lambda day: day).with_output_types(Day)
            | WindowByArrival(_REGROUP_S)
            | GroupSimilar(url, SimilarOptions())
            | beam.Map(_note)
        )
    return [day for day, _ in _settled]


@pytest.mark.parametrize(
    "late_s",
    [0, 25, 3_600, 7 * _DAY_S, 31 * _DAY_S],
    ids=["now", "seconds", "an hour", "a week", "as long as Pub/Sub keeps it"],
)
def test_days_are_regrouped_however_late_they_were_announced(
    late_s: int, tmp_path: Path
) -> None:
    days = [("me", date) for date in ("1999-12-31", "2019-05-01", "2035-01-01")]
    published_s = _NOW_S - late_s
    stream = _stream()
    for second, day in enumerate(days):
        stream.add_elements([TimestampedValue(day, published_s + second)])
    # Twice the same day in one window, as a backlog has it.
    for second, day in enumerate(days):
        stream.add_elements([TimestampedValue(day, published_s + 10 + second)])
    stream.advance_processing_time(_REGROUP_S + 1).advance_watermark_to_infinity()
    settled = _regroup(tmp_path, stream)
    assert set(settled) == set(days)
    if late_s >= 3_600:
        # Those that came first, and then the others.
        assert sorted(settled) == sorted(days + days)


def test_a_late_day_is_not_regrouped_for_each_of_its_photos(tmp_path: Path) -> None:
    day = ("me", "2024-05-01")
    stream = _stream()
    for second in range(20):
        stream.add_elements([TimestampedValue(day, _NOW_S - 3_600 + second)])
    stream.advance_processing_time(_REGROUP_S + 1)
    stream.add_elements([TimestampedValue(day, _NOW_S - 3_600)])
    stream.advance_processing_time(_REGROUP_S + 1).advance_watermark_to_infinity()
    # For the first, for the nineteen after it, and for the last.
    assert _regroup(tmp_path, stream) == [day, day, day]


def test_a_day_is_regrouped_before_the_window_ends(tmp_path: Path) -> None:
    day = ("me", "2024-05-01")
    stream = (
        _stream()
        .add_elements([TimestampedValue(day, _NOW_S + 1)])
        .advance_processing_time(_REGROUP_S + 1)
        .add_elements([TimestampedValue(day, _NOW_S + 2)])
        .advance_watermark_to_infinity()
    )
    assert _regroup(tmp_path, stream) == [day, day]


@pytest.fixture
def options(tmp_path: Path) -> PipelineOptions:
    for name in ("some.cfg", "some.weights"):
        (tmp_path / name).touch()
    return PipelineOptions(
        [*_LOCAL, f"--weights={tmp_path / 'some.weights'}"],
        store=f"sqlite:///{tmp_path}/piccl.db",
    )


@pytest.fixture
def graph(options: PipelineOptions) -> beam.Pipeline:
    """The graph of a stream with all its branches, not run."""
    pipeline = beam.Pipeline(options=options)
    build_stream(
        pipeline,
        beam.Create([PubsubMessage(b"{}", {})], reshuffle=False),
        analysis_settings(options),
        dead_letter_topic="projects/some-project/topics/dead",
        regroup_s=_REGROUP_S,
    )
    return pipeline


class _Inputs(PipelineVisitor):
    """What goes into each step."""

    def __init__(self) -> None:
        self.of: dict[str, list[beam.PCollection]] = {}
        self.shuffled: dict[str, str] = {}

    def visit_transform(self, node) -> None:
        self.of[node.full_label] = [
            one for one in node.inputs if isinstance(one, beam.PCollection)
        ]
        if isinstance(node.transform, beam.GroupByKey):
            (one,) = node.inputs
            self.shuffled[node.full_label] = str(one.element_type)


@pytest.fixture
def inputs(graph: beam.Pipeline) -> _Inputs:
    visitor = _Inputs()
    graph.visit(visitor)
    return visitor


def test_every_step_works_in_windows_of_arrival(inputs: _Inputs) -> None:
    # What comes before the windows, of either start.
    before = ("ReadFromPubSub", "WindowByArrival", "ReadPendingDays", "ArriveNow")
    steps = {
        name: pcolls
        for name, pcolls in inputs.of.items()
        if not name.startswith((*before, "WindowPendingDays"))
    }
    assert any("ScoreDarkness/RunInference" in name for name in steps)
    assert any("DetectObjects/RunInference" in name for name in steps)
    assert "GroupSimilar/GroupByUserAndDate" in steps
    for name, pcolls in steps.items():
        for pcoll in pcolls:
            windowing = pcoll.windowing
            assert windowing.windowfn == FixedWindows(30), name
            assert windowing.allowed_lateness >= 31 * _DAY_S, name
            assert windowing.triggerfn.late is not None, name


def test_only_days_enter_a_shuffle(inputs: _Inputs) -> None:
    assert inputs.shuffled == {
        "GroupSimilar/GroupByUserAndDate": (
            "Tuple[Tuple[<class 'str'>, <class 'str'>], None]"
        )
    }


def test_all_steps_of_a_photo_are_fused(graph: beam.Pipeline) -> None:
    environment = EmbeddedPythonEnvironment.default()
    _, stages = FnApiRunner().create_stages(
        graph.to_runner_api(default_environment=environment)
    )
    fused = [[step.unique_name for step in stage.transforms] for stage in stages]
    (photo_stage,) = (
        steps for steps in fused if any("/LoadPhotos/" in step for step in steps)
    )
    for name in (
        "ParseUploads",
        "AnalysePhotos/SkipAnalysed",
        "AnalysePhotos/ScoreDarkness/RunInference",
        "AnalysePhotos/DetectObjects/RunInference",
        "AnalysePhotos/WritePhotos",
        "AnalysePhotos/WriteObjects",
    ):
        assert any(name in step for step in photo_stage), name


def test_what_an_earlier_job_left_is_settled_at_the_start(
    tmp_path: Path, jpeg: Callable[..., bytes], backfill: Callable[..., int]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for shot in range(2):
        (folder / f"{shot}.jpg").write_bytes(jpeg(1, shot, "1999:12:31 23:59:00"))
    db = tmp_path / "piccl.db"
    assert backfill(folder, db=db) == 0
    store = SqliteStore(db)
    photo_id = next(iter(store.day("me", "1999-12-31"))).id
    store.decide("me", photo_id, "trash")
    assert store.pending_days() == [("me", "1999-12-31")]

    options = PipelineOptions([*_LOCAL, "--weights=none"], store=f"sqlite:///{db}")
    started_s = time.time()
    with beam.Pipeline(options=options) as pipeline:
        settled = build_stream(
            pipeline,
            _stream()
            .advance_processing_time(_REGROUP_S + 1)
            .advance_watermark_to_infinity(),
            analysis_settings(options),
            dead_letter_topic="projects/some-project/topics/dead",
            regroup_s=_REGROUP_S,
        )
        _ = settled | beam.Map(_note)
    assert store.pending_days() == []
    store.close()
    # It has arrived now: at the beginning of time, it would be late wherever the
    # watermark is not held back for it.
    assert {day for day, _ in _settled} == {("me", "1999-12-31")}
    for _, window in _settled:
        assert started_s - 30 <= window.start <= time.time()
