"""What does not fit into one call → an execution of the state machine, over the runtime's own botocore.

Only a function that hands over imports this module, and only when it does: botocore costs 200 ms.
"""

from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from handler.steps import execution
from model.bulk.job import Job, format_of
from model.errors import AccessDenied, OutOfTime, StoreUnavailable

_CONFIG = Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "max_attempts": 4})
_DENIED = {"AccessDeniedException", "StateMachineDoesNotExist", "UnrecognizedClientException"}


def start(job: Job, machine: str) -> dict[str, Any]:
    """Start the machine once for a job, however often its event comes; return its execution's name.

    Raises OutOfTime for gzip, which cannot be cut, AccessDenied, and StoreUnavailable where a retry may help.
    """
    if format_of(job.input)[1]:
        raise OutOfTime("gzip cannot be cut into ranges: deliver it unzipped, in several objects, or as Parquet")
    name, text = execution(job)
    client: Any = botocore.session.get_session().create_client(
        "stepfunctions", region_name=machine.split(":")[3], config=_CONFIG
    )
    try:
        client.start_execution(stateMachineArn=machine, name=name, input=text)
    except client.exceptions.ExecutionAlreadyExists:
        pass  # the event came again after its execution had ended: that one's outcome stands
    except ClientError as error:
        code = error.response["Error"]["Code"]
        kind = AccessDenied if code in _DENIED else StoreUnavailable
        raise kind(f"the state machine was not started: {code}") from None
    except BotoCoreError as error:
        raise StoreUnavailable(f"the state machine was not started: {type(error).__name__}") from error
    return {"execution": name}
