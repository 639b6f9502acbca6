"""What a million predictions cost: AWS's list prices for us-east-1, without free tiers and discounts. Pure.

x86 and the first tier of each, as published in November 2026. Checked then against
docs.aws.amazon.com/whitepapers/latest/best-practices-api-gateway-private-apis-integration/cost-optimization.html,
amnic.com/blogs/aws-lambda-pricing (requests and duration) and duckbillgroup.com/?p=9080 (Lambda's logs).
"""

from dataclasses import dataclass

AS_OF, REGION = "2026-11", "us-east-1"
LAMBDA_REQUESTS = 0.20
"""Dollars a million."""
LAMBDA_GB_SECOND = 0.0000166667
REST_API_REQUESTS = 3.50
"""Dollars a million; an HTTP API is 1.00 and has no keys, usage plans or firewall."""
LOGS_GB = 0.50
"""Dollars for a GB ingested; storage (0.03 a GB and month) is left out."""

COLD_SHARE = 0.01
"""Calls in a new environment, whose initialisation is billed since August 2025: AWS's own "under 1 % of invocations"
(aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase)."""

MEMORY = {1.0: 1769, 0.29: 512}
"""vCPUs → MB that buy them."""


@dataclass(frozen=True, slots=True)
class Bill:
    """Dollars for a million predictions, a row each."""

    requests: float
    duration: float
    cold: float
    api: float
    logs: float

    @property
    def total(self) -> float:
        return self.requests + self.duration + self.cold + self.api + self.logs


def bill(*, billed: float, first: float, log_bytes: float, memory: int) -> Bill:
    """The bill of a million predictions.

    `billed` milliseconds of a warm call (whole ones, as Lambda rounds, averaged), `first` milliseconds of a call in a
    new environment, `log_bytes` a call, `memory` in MB.
    """
    millisecond = LAMBDA_GB_SECOND * memory / 1024 / 1000
    return Bill(
        requests=LAMBDA_REQUESTS,
        duration=1e6 * (1 - COLD_SHARE) * billed * millisecond,
        cold=1e6 * COLD_SHARE * first * millisecond,
        api=REST_API_REQUESTS,
        logs=1e6 * log_bytes / 1e9 * LOGS_GB,
    )
