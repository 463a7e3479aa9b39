"""Where inputs go that could not be processed."""

import dataclasses
import json
from typing import Final, Literal, TypeAlias

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from transforms.counters import count
from transforms.elements import DeadLetter

DEAD: Final = "dead"
DeadOutput: TypeAlias = TaggedOutput[Literal["dead"], DeadLetter]


def dead_letter(letter: DeadLetter) -> DeadOutput:
    """Count a dead letter and address it to the step's dead output."""
    count(f"dead_letters/{letter.reason}")
    return TaggedOutput(DEAD, letter)


class WriteDeadLetters(beam.PTransform):
    """DeadLetter -> one JSON object a line, in one file.

    Args:
        path: Local or `gs://`; replaced by each run, empty if all went well.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def expand(self, letters: beam.PCollection[DeadLetter]) -> beam.PCollection[str]:
        return (
            letters
            | "ToJson" >> beam.Map(to_json).with_output_types(str)
            | "WriteLines"
            >> beam.io.WriteToText(self._path, num_shards=1, shard_name_template="")
        )


def to_json(letter: DeadLetter) -> str:
    """One line, keys as in `DeadLetter`."""
    return json.dumps(dataclasses.asdict(letter), ensure_ascii=False)
