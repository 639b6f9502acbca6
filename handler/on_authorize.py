"""API Gateway's request authorizer: a bearer token → the policy of all that it may call."""

import json
import os
from typing import Any

from handler.authorizer.keys import Keys
from handler.authorizer.policy import policy
from handler.authorizer.settings import AuthorizerSettings
from handler.authorizer.tokens import Refused, bearer, verify

_settings = AuthorizerSettings.from_env(os.environ)
_keys = Keys(_settings)


def handler(event: dict[str, Any], _: Any) -> dict[str, Any]:
    """Return the policy. Raises what API Gateway turns into 401 by its text, and KeysUnavailable, which becomes 503."""
    outcome = "unavailable"
    try:
        claims = verify(bearer(event), _settings, _keys)
        outcome = "granted"
        return policy(event["methodArn"], claims, _settings.rules)
    except Refused as reason:
        outcome = str(reason)
        raise Exception("Unauthorized") from None  # this text is the contract
    finally:
        request = (event.get("requestContext") or {}).get("requestId")
        line = {"level": "INFO", "message": "authorize", "id": request, "outcome": outcome, "keys": _keys.failure}
        print(json.dumps(line), flush=True)
