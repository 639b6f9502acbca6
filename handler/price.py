"""What a call costs on Lambda, estimated: list prices of us-east-1, without free tier, API Gateway and logs."""

import os

PER_REQUEST = 0.20
"""US dollars for a million requests, so millionths of a dollar for one."""
PER_GB_SECOND = {"x86_64": 16.6667, "aarch64": 13.3334}
"""Millionths of a US dollar, by machine."""


class MicroUsd:
    """Millionths of a US dollar, for a function of so many MB; 0 outside Lambda."""

    def __init__(self, megabytes: int) -> None:
        rate = PER_GB_SECOND.get(os.uname().machine, PER_GB_SECOND["x86_64"])
        self._millisecond = rate * megabytes / 1024 / 1000
        self._request = PER_REQUEST if megabytes else 0.0

    def of(self, milliseconds: float) -> float:
        """Return the price of one call: Lambda bills each millisecond that has begun."""
        return round(self._request + self._millisecond * (int(milliseconds) + 1), 4)

    def of_start(self, milliseconds: float) -> float:
        """Return the price of the initialisation before the first call."""
        return self._millisecond * milliseconds
