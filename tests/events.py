"""Deliveries as AWS makes them: SQS records, EventBridge events, and what the runtime hands over with them."""

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any

IRIS = [6.1, 2.8, 4.7, 1.2]


@dataclass
class Context:
    """What the runtime hands to a handler; `left` is its remaining time in milliseconds."""

    left: int = 60_000
    aws_request_id: str = "11111111-2222-3333-4444-555555555555"

    def get_remaining_time_in_millis(self) -> int:
        return self.left


def record(body: Any, name: str | None = None, group: str | None = None, fair: str | None = None) -> dict[str, Any]:
    """One SQS record: of a FIFO queue if there is a group; `fair` is the group that a standard queue's message has."""
    text = body if isinstance(body, str) else json.dumps(body)
    attributes = {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": "1795253402123",
        "SenderId": "AIDAIENQZJOLO23YVJ4VO",
        "ApproximateFirstReceiveTimestamp": "1795253402130",
    }
    if group:
        digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
        attributes |= {"SequenceNumber": "18849496460467696128", "MessageGroupId": group}
        attributes |= {"MessageDeduplicationId": digest}
    if fair:
        attributes |= {"MessageGroupId": fair}
    return {
        "messageId": name or str(uuid.uuid4()),
        "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
        "body": text,
        "attributes": attributes,
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:requests{'.fifo' if group else ''}",
        "awsRegion": "us-east-1",
    }


def delivery(*records: dict[str, Any]) -> dict[str, Any]:
    """One SQS event."""
    return {"Records": list(records)}


def requested(detail: Any, **changes: Any) -> dict[str, Any]:
    """One EventBridge event that asks for a prediction."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Prediction Requested",
        "source": "com.example.garden",
        "account": "123456789012",
        "time": "2026-11-21T09:30:02Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
        **changes,
    }
