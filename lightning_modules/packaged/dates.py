"""The parts of dates by the civil calendar, from seconds since 1970."""

import torch
from torch import Tensor, nn

PARTS = ("year", "month", "day", "weekday", "hour", "days")
"""As `lightning_modules.data.columns.date_parts` names them."""
_DAY = 86_400.0


class Dates(nn.Module):
    """``(..., columns)`` seconds, NaN where missing, to ``(..., columns * 6)``: the parts of each.

    All in float64, in which whole numbers of this size are exact. Years begin in March here, so
    that the leap day is their last; 400 of them, an era, have 146,097 days.
    """

    def forward(self, seconds: Tensor) -> Tensor:
        """Return the parts in the order of `PARTS`."""
        days = (seconds / _DAY).floor()
        hour = ((seconds - days * _DAY) / 3600.0).floor()
        weekday = (days + 3.0) - 7.0 * ((days + 3.0) / 7.0).floor()
        since = days + 719_468.0
        era = (since / 146_097.0).floor()
        of_era = since - era * 146_097.0
        fours, centuries = (of_era / 1460.0).floor(), (of_era / 36_524.0).floor()
        leaps = fours - centuries + (of_era / 146_096.0).floor()
        year = ((of_era - leaps) / 365.0).floor()
        of_year = of_era - (365.0 * year + (year / 4.0).floor() - (year / 100.0).floor())
        march = ((5.0 * of_year + 2.0) / 153.0).floor()
        day = of_year - ((153.0 * march + 2.0) / 5.0).floor() + 1.0
        month = torch.where(march < 10.0, march + 3.0, march - 9.0)
        civil = year + era * 400.0 + (month <= 2.0).to(torch.float64)
        parts = torch.stack([civil, month, day, weekday, hour, seconds / _DAY], dim=-1)
        return parts.flatten(-2)
