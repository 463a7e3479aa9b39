"""Regrouping a user's days without a job; pure but for the store, without Beam."""

from models.similarity import SimilarOptions
from store.interface import Store
from transforms.day_outcomes import day_outcomes


def settle_days(store: Store, user_id: str, options: SimilarOptions) -> int:
    """Regroup the days of a user that wait for it.

    Returns:
        How many photos changed.
    """
    return sum(
        store.settle(user_id, date, lambda photos: day_outcomes(photos, options))
        for _, date in store.pending_days(user_id)
    )
