import threading
from collections.abc import Iterator

import pytest

from models.budget import Budget

# Long enough for a thread that is not held back to run.
_A_MOMENT_S = 0.2
_HANGS_S = 10


class _Holder:
    """A thread that holds a part of a budget until it is told to let go."""

    def __init__(self, budget: Budget, pixels: int) -> None:
        self.holds = threading.Event()
        self._let_go = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(budget, pixels))
        self._thread.start()

    def _run(self, budget: Budget, pixels: int) -> None:
        with budget.take(pixels):
            self.holds.set()
            self._let_go.wait(_HANGS_S)

    def let_go(self) -> None:
        self._let_go.set()

    def join(self) -> None:
        self._thread.join(_HANGS_S)
        assert not self._thread.is_alive()


@pytest.fixture
def holders() -> Iterator[list[_Holder]]:
    started: list[_Holder] = []
    yield started
    for holder in started:
        holder.let_go()
    for holder in started:
        holder.join()


def test_never_more_than_its_capacity_at_once() -> None:
    budget = Budget(100)
    lock = threading.Lock()
    held = most = turns = 0

    def hold_often(pixels: int) -> None:
        nonlocal held, most, turns
        for _ in range(200):
            with budget.take(pixels):
                with lock:
                    held += pixels
                    most = max(most, held)
                with lock:
                    held -= pixels
                    turns += 1

    sizes = (10, 20, 30, 40, 50, 60, 70, 100)
    threads = [threading.Thread(target=hold_often, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_HANGS_S)
    assert turns == 200 * len(sizes)
    assert held == 0
    assert most <= 100


def test_small_ones_run_side_by_side(holders: list[_Holder]) -> None:
    budget = Budget(100)
    holders.extend(_Holder(budget, 50) for _ in range(2))
    assert all(holder.holds.wait(_HANGS_S) for holder in holders)
    holders.append(_Holder(budget, 1))
    assert not holders[2].holds.wait(_A_MOMENT_S)
    holders[0].let_go()
    assert holders[2].holds.wait(_HANGS_S)


def test_larger_than_the_budget_runs_alone(holders: list[_Holder]) -> None:
    budget = Budget(100)
    small = _Holder(budget, 1)
    holders.append(small)
    assert small.holds.wait(_HANGS_S)
    large = _Holder(budget, 1_000_000)
    holders.append(large)
    assert not large.holds.wait(_A_MOMENT_S)
    small.let_go()
    assert large.holds.wait(_HANGS_S)
    after = _Holder(budget, 1)
    holders.append(after)
    assert not after.holds.wait(_A_MOMENT_S)
    large.let_go()
    assert after.holds.wait(_HANGS_S)


def test_large_one_is_not_overtaken_by_small_ones(holders: list[_Holder]) -> None:
    budget = Budget(100)
    first = _Holder(budget, 60)
    holders.append(first)
    assert first.holds.wait(_HANGS_S)
    large = _Holder(budget, 100)
    holders.append(large)
    assert not large.holds.wait(_A_MOMENT_S)
    # There is room for it, but it came later.
    small = _Holder(budget, 10)
    holders.append(small)
    assert not small.holds.wait(_A_MOMENT_S)
    first.let_go()
    assert large.holds.wait(_HANGS_S)
    assert not small.holds.is_set()
    large.let_go()
    assert small.holds.wait(_HANGS_S)


def test_is_given_back_after_an_error(holders: list[_Holder]) -> None:
    budget = Budget(100)
    for _ in range(3):
        with pytest.raises(MemoryError), budget.take(80):
            raise MemoryError
    holders.append(_Holder(budget, 100))
    assert holders[0].holds.wait(_HANGS_S)
