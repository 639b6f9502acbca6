"""What a million rows cost by each way through the stack: `python -m bench.bulk_prices`. Pure; prices as `prices`.

Checked with `prices.py`: aws.amazon.com/step-functions/pricing and aws.amazon.com/s3/pricing, first tier, S3 Standard.
"""

from math import ceil

from bench.prices import LAMBDA_GB_SECOND, LAMBDA_REQUESTS, MEMORY, REST_API_REQUESTS

STATE_TRANSITIONS = 25.0
"""Dollars a million, Standard workflows; a child's start and each state, retries included."""
S3_PUTS, S3_GETS = 5.0, 0.4
"""Dollars a million; listing counts as a put."""

ROW_BYTES, ROWS_A_SECOND, ANSWER_BYTES = 100, 200_000, 150
REQUEST_MS = 10
START_SECONDS = 0.5
BLOCK = 8 * 1024 * 1024
PART_BYTES = 128 * 1024 * 1024
MILLION = 1_000_000


def _seconds(seconds: float) -> float:
    return seconds * LAMBDA_GB_SECOND * MEMORY[1.0] / 1024


def _range(rows: int) -> float:
    """A range's way through one function: its invoke, its time, its blocks in and out."""
    read, written = ceil(rows * ROW_BYTES / BLOCK), ceil(rows * ANSWER_BYTES / BLOCK) + 2
    work = _seconds(START_SECONDS + rows / ROWS_A_SECOND)
    return work + (LAMBDA_REQUESTS + read * S3_GETS + written * S3_PUTS) / MILLION


def requests(rows: int) -> float:
    """One row a request through the API."""
    return rows * ((REST_API_REQUESTS + LAMBDA_REQUESTS) / MILLION + _seconds(REQUEST_MS / 1000))


def one_function(rows: int) -> float:
    """One object in ObjectFunction: head, beginning, the part, manifest, and the listing that sweeps."""
    return _range(rows) + (3 * S3_GETS + 2 * S3_PUTS) / MILLION


def machine(rows: int) -> float:
    """One object in the state machine: plan, commit, and for each range a child, a plan read and a ledger entry."""
    count = max(1, ceil(rows * ROW_BYTES / PART_BYTES))
    each = _range(ceil(rows / count)) + (2 * STATE_TRANSITIONS + 3 * S3_GETS + 2 * S3_PUTS) / MILLION
    around = 2 * _seconds(START_SECONDS + 0.05 * count) + (6 * STATE_TRANSITIONS + 2 * LAMBDA_REQUESTS) / MILLION
    return count * each + around + (10 * S3_PUTS + 10 * S3_GETS) / MILLION


WAYS = {"one row a request": requests, "ObjectFunction": one_function, "state machine": machine}
SIZES = {"1 million rows": 10**6, "100 million": 10**8, "1 billion": 10**9}


def fits(way: str, rows: int) -> bool:
    """Tell whether one call of 15 minutes suffices, where there is only one."""
    return way != "ObjectFunction" or rows / ROWS_A_SECOND < 900


def table() -> str:
    """Return the table of docs/bulk.md: dollars a million rows, of objects of several sizes."""
    lines = ["| dollars a million rows | " + " | ".join(SIZES) + " |", "|---" * (len(SIZES) + 1) + "|"]
    for name, cost in WAYS.items():
        cells = [f"{cost(n) * MILLION / n:.4f}" if fits(name, n) else "does not fit" for n in SIZES.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
