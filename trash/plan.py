"""What a cleanup would move, before it does: pure, out of rows and pairs."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trash.outcome import Refusal
from trash.pairs import Row, Unit
from trash.requests import reason_for


@dataclass(frozen=True)
class Plan:
    """See above.

    Attributes:
        reasons: What goes, by the first of the reasons that holds.
        left: Photos that are recommended and stay, because what goes with them is
            not.
    """

    reasons: Mapping[str, Sequence[Unit]] = field(default_factory=dict)
    left: Sequence[Refusal] = ()

    @property
    def units(self) -> list[Unit]:
        return [unit for units in self.reasons.values() for unit in units]

    @property
    def photos(self) -> list[Row]:
        return [row for unit in self.units for row in unit.photos]

    @property
    def bytes(self) -> int:
        return sum(unit.bytes for unit in self.units)

    @property
    def groups(self) -> Mapping[str, Sequence[Row]]:
        """What goes of each group, by the path of the photo that stays."""
        groups: dict[str, list[Row]] = defaultdict(list)
        for row in self.photos:
            if row["similar"] and row["keeper_path"] is not None:
                groups[row["keeper_path"]].append(row)
        return groups


def is_wanted(row: Row, reasons: Collection[str]) -> bool:
    """Whether a photo goes, as far as it alone tells."""
    return reason_for(row, reasons) is not None


def make_plan(units: Iterable[Unit], reasons: Collection[str]) -> Plan:
    """Sort what goes by reason, and tell what stays for what goes with it.

    Args:
        units: Of each at least one photo is wanted.
        reasons: Those that the user agreed to.
    """
    planned: dict[str, list[Unit]] = defaultdict(list)
    left: list[Refusal] = []
    for unit in units:
        held_by = [row for row in unit.photos if not is_wanted(row, reasons)]
        if held_by:
            names = ", ".join(row["title"] for row in held_by)
            why = f"goes with {names}, which is not to be trashed for these reasons"
            left.extend(
                Refusal.of_row(row, why) for row in unit.photos if row not in held_by
            )
        else:
            planned[reason_for(unit.photos[0], reasons) or ""].append(unit)
    return Plan({name: planned[name] for name in sorted(planned)}, left)
