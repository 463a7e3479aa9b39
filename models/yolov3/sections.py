"""The text of a Darknet `.cfg`: sections of `key = value`, read strictly."""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

# Nine digits stay far inside of what C's int holds, and cost nothing to read.
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,9}")
_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,3})?", re.I)
# Quoted in errors; a broken file may have all its bytes in one line.
_SHOWN_CHARACTERS: Final = 60
# Nothing published lists more than 18, and what follows costs time for each.
_MOST_LISTED: Final = 256


_ALIASES: Final = {
    "avg": "avgpool",
    "conv": "convolutional",
    "max": "maxpool",
    "network": "net",
}


def _keys(text: str) -> frozenset[str]:
    return frozenset(text.split())


# They change how a network is trained, or when a GPU does what.
_TRAINING: Final = _keys(
    "burnin_update clip dont_update learning_rate onlyforward stopbackward stream "
    "train_only_bn wait_stream"
)
# Of those that Darknet also detects by, letter_box is for the caller to say, and
# overlapping boxes are dropped in one way whatever nms_kind and beta_nms are.
_TRAINING_OF: Final = {
    "net": _keys(
        "adam angle aspect B1 B2 badlabels_rejection_percentage batch blur burn_in "
        "cutmix decay ema_alpha eps equidistant_point exposure flip gamma "
        "gaussian_noise hue label_smooth_eps learning_rate_min letter_box loss_scale "
        "max_batches max_crop min_crop mixup momentum mosaic mosaic_bound "
        "num_sigmas_reject_badlabels optimized_memory policy power resize_step "
        "saturation scale scales seq_scales sgdr_cycle sgdr_mult step steps "
        "subdivisions try_fix_nan use_cuda_graph workspace_size_limit_MB"
    ),
    "convolutional": _keys("grad_centr"),
    "dropout": _keys("dropblock dropblock_size_abs dropblock_size_rel"),
    "yolo": _keys(
        "beta_nms cls_normalizer counters_per_class delta_normalizer focal_loss "
        "iou_loss iou_normalizer iou_thresh iou_thresh_kind jitter label_smooth_eps "
        "max max_delta nms_kind obj_normalizer objectness_smooth random resize "
        "show_details truth_thresh"
    ),
}
# What Darknet knows and this package does not, with the values that ask for nothing.
_PLAIN: Final = {"dontload": "0", "dontloadscales": "0"}
_PLAIN_OF: Final = {
    "convolutional": dict.fromkeys(
        _keys(
            "antialiasing assisted_excitation bin_output binary cbn coordconv dot "
            "flipped reverse rotate stretch stretch_sway sway xnor"
        ),
        "0",
    )
    | {"dilation": "1"},
    "maxpool": {
        "antialiasing": "0",
        "maxpool_depth": "0",
        "maxpool_zero_nonmax": "0",
        "out_channels": "1",
    },
    "shortcut": {"weights_normalization": "none", "weights_type": "none"},
}


class CfgError(ValueError):
    """The cfg can not be read or is not supported; the text names line and reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")


@dataclass(frozen=True)
class Section:
    """One section. Reading a key takes it out, so that what is left is unknown.

    Attributes:
        line: Of its heading, from 1.
        name: Without brackets.
        options: Line and text of the keys not read yet.
    """

    line: int
    name: str
    options: dict[str, tuple[int, str]]

    def integer(
        self, key: str, default: int | None, least: int = 0, most: int = 1
    ) -> int:
        """Read an integer from `least` to `most`; without a default it must be there.

        Raises:
            CfgError: It is missing, no integer, or outside.
        """
        line, text = self._take(key, default)
        return _integer(line, key, text, least, most)

    def number(self, key: str, default: float, least: float, most: float) -> float:
        """Read a number from `least` to `most`.

        Raises:
            CfgError: It is no number, or outside.
        """
        line, text = self._take(key, default)
        return _number(line, key, text, least, most)

    def integers(self, key: str, least: int, most: int) -> tuple[int, ...]:
        """Read integers between commas, from `least` to `most`.

        Raises:
            CfgError: They are missing, or one is no integer or outside.
        """
        line, text = self._take(key, None)
        return tuple(
            _integer(line, key, part, least, most) for part in _split(line, key, text)
        )

    def numbers(self, key: str, least: float, most: float) -> tuple[float, ...]:
        """Read numbers between commas, from `least` to `most`.

        Raises:
            CfgError: They are missing, or one is no number or outside.
        """
        line, text = self._take(key, None)
        return tuple(
            _number(line, key, part, least, most) for part in _split(line, key, text)
        )

    def word(self, key: str, default: str, known: Collection[str]) -> str:
        """Read one of the words that are known.

        Raises:
            CfgError: It is another.
        """
        line, text = self._take(key, default)
        if text not in known:
            raise CfgError(line, f"{key} = {_show(text)} is not supported")
        return text

    def error(self, reason: str) -> CfgError:
        """What is wrong with the section as a whole."""
        return CfgError(self.line, f"[{self.name}] {reason}")

    def refuse_unread(self) -> None:
        """Refuse keys that nothing has read and that matter, or may.

        Raises:
            CfgError: There is one.
        """
        ignored = _TRAINING | _TRAINING_OF.get(self.name, frozenset())
        plain = _PLAIN | _PLAIN_OF.get(self.name, {})
        for key, (line, text) in self.options.items():
            if key in plain and text != plain[key]:
                raise CfgError(line, f"{key} = {_show(text)} is not supported")
            if key not in plain and key not in ignored:
                raise CfgError(line, f"[{self.name}] has an unknown key {_show(key)}")

    def _take(self, key: str, default: float | str | None) -> tuple[int, str]:
        if key in self.options:
            return self.options.pop(key)
        if default is None:
            raise self.error(f"has no {key}")
        return self.line, str(default)


def read_sections(text: str) -> list[Section]:
    """Split a cfg into its sections.

    `#` ends a line; `;` begins a comment only where it begins the line. Two things
    are refused that Darknet takes: blanks inside a number, which it would join, and
    a key given twice, of which it uses the first and OpenCV the last.

    Raises:
        CfgError: A line is neither heading nor `key = value`, stands before the
            first heading, or repeats a key.

    Source: Darknet, src/parser.c (read_cfg) and src/option_list.c.
    """
    sections: list[Section] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.partition("#")[0].strip()
        if not line or line.startswith(";"):
            continue
        if line.startswith("["):
            if not line.endswith("]"):
                raise CfgError(number, f"{_show(line)} is no heading")
            name = line[1:-1].strip()
            sections.append(Section(number, _ALIASES.get(name, _show(name, "")), {}))
            continue
        key, _, value = (part.strip() for part in line.partition("="))
        if not (key and value):
            raise CfgError(number, f"{_show(line)} is not key = value")
        if not sections:
            raise CfgError(number, f"{_show(line)} stands before the first section")
        options = sections[-1].options
        if key in options:
            raise CfgError(
                number, f"{_show(key)} was given in line {options[key][0]} already"
            )
        options[key] = number, value
    return sections


def _split(line: int, key: str, text: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) > _MOST_LISTED:
        raise CfgError(line, f"{key} lists {len(parts)}, more than {_MOST_LISTED}")
    return parts


def _integer(line: int, key: str, text: str, least: int, most: int) -> int:
    if not _INTEGER.fullmatch(text):
        raise CfgError(line, f"{key} = {_show(text)} is no integer")
    value = int(text)
    if not least <= value <= most:
        raise CfgError(line, f"{key} = {value} is not from {least} to {most}")
    return value


def _number(line: int, key: str, text: str, least: float, most: float) -> float:
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise CfgError(line, f"{key} = {_show(text)} is no number")
    value = float(text)
    if not least <= value <= most:
        raise CfgError(line, f"{key} = {value:g} is not from {least:g} to {most:g}")
    return value


def _show(text: str, quote: str = "'") -> str:
    """The beginning of a text, without what could upset a terminal."""
    shown = "".join(c if c.isprintable() else "?" for c in text[:_SHOWN_CHARACTERS])
    return f"{quote}{shown}{'...' if len(text) > _SHOWN_CHARACTERS else ''}{quote}"
