from collections.abc import Callable

import pytest
from pydantic import ValidationError

from hpo.protocol import TrialEnd, TrialOrder
from hpo.records import TrialRecord

MakeRecord = Callable[..., TrialRecord]


def test_an_order_reads_back_from_json() -> None:
    order = TrialOrder(
        number=3,
        config={"seed": 1},
        folder="a 'b' c",
        plugins=["mine.py"],
        cache="cache",
        log=None,
    )
    assert TrialOrder.model_validate_json(order.model_dump_json()) == order


def test_an_end_reads_back_from_json(make_record: MakeRecord) -> None:
    ends = [
        TrialEnd(number=3, outcome="abandoned"),
        TrialEnd(number=3, outcome="failed", reason="oom", what="too big", traceback="a\nb"),
        TrialEnd(number=3, outcome="result", result=make_record().run),
    ]
    assert [TrialEnd.model_validate_json(end.model_dump_json()) for end in ends] == ends


def test_an_unknown_reason_is_refused() -> None:
    with pytest.raises(ValidationError, match="reason"):
        TrialEnd.model_validate({"number": 0, "outcome": "failed", "reason": "weather"})
