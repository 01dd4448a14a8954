"""Twins: trials of equal configs. What was trained once is not trained again."""

from collections.abc import Mapping, Sequence
from typing import Any

from hpo.records import TrialRecord, config_sha256


class Twins:
    """The trials that a later one of an equal config can take its outcome from.

    Equal is all but the seed. A trial that failed is no twin: chance may have its part in that; nor
    is one that a user ended.

    Args:
        records: trials that ended in earlier calls.
        window: trial n may know the trials up to n - window alone; None is all that have ended.
    """

    def __init__(self, records: Sequence[TrialRecord], *, window: int | None) -> None:
        self._window = window
        self._first: dict[str, TrialRecord] = {}
        for record in records:
            self.ended(record)

    def ended(self, record: TrialRecord) -> None:
        """Take note of a trial that ended."""
        by_hand = record.run is not None and record.run.stopped_by == "user"
        if record.state == "failed" or record.same_as is not None or by_hand:
            return
        key = _key(record.config)
        known = self._first.get(key)
        if known is None or record.number < known.number:
            self._first[key] = record

    def of(self, number: int, config: Mapping[str, Any]) -> TrialRecord | None:
        """Return the first trial that had the config of trial ``number``, None if none had."""
        found = self._first.get(_key(config))
        if found is None or self._window is None or found.number <= number - self._window:
            return found
        return None


def _key(config: Mapping[str, Any]) -> str:
    return config_sha256({name: value for name, value in config.items() if name != "seed"})
