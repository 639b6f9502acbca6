"""What the deploy hook asks of AWS: a version of a function, and CodeDeploy. Over the runtime's own botocore."""

import base64
import json
from typing import Any

import botocore.session
from botocore.config import Config

from handler.observe import DEPLOY_CHECK

# A cold start may take its 10 s twice, and the call itself 29; asking again is harmless.
_CONFIG = Config(connect_timeout=3, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 2})
# A direct call has no other place for an id than its client context.
_CONTEXT = base64.b64encode(json.dumps({"custom": {"id": DEPLOY_CHECK}}).encode()).decode()


class FunctionFailed(Exception):
    """The function raised, or ended before it answered; the message is its error's class."""


class Version:
    """One published version of a function, perhaps not yet ready."""

    def __init__(self, arn: str) -> None:
        self._arn = arn
        self._client: Any = botocore.session.get_session().create_client("lambda", config=_CONFIG)
        self._ready = False

    def invoke(self, payload: Any) -> Any:
        """Return what it answers; raises FunctionFailed, or botocore's own errors."""
        if not self._ready:  # with SnapStart its snapshot is taken first
            self._client.get_waiter("published_version_active").wait(FunctionName=self._arn)
            self._ready = True
        done = self._client.invoke(FunctionName=self._arn, Payload=json.dumps(payload).encode(), ClientContext=_CONTEXT)
        answer = json.loads(done["Payload"].read())
        if "FunctionError" in done:
            raise FunctionFailed(str((answer or {}).get("errorType", done["FunctionError"])))
        return answer


def report(event: dict[str, Any], *, succeeded: bool) -> None:
    """Tell CodeDeploy, which otherwise waits for an hour."""
    client: Any = botocore.session.get_session().create_client("codedeploy", config=_CONFIG)
    client.put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status="Succeeded" if succeeded else "Failed",
    )
