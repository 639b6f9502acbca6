"""What API Gateway caches: all that a token may call at this stage, whichever route asked first.

The policy is kept by the Authorization header's value and used for every route, so one that allowed only the route in
question would refuse the next. Pure.
"""

from typing import Any

from handler.authorizer.settings import Rule
from handler.authorizer.tokens import Claims


def policy(method_arn: str, claims: Claims, rules: tuple[Rule, ...]) -> dict[str, Any]:
    """Return the authorizer's answer; `method_arn` is `arn:…:execute-api:region:account:api/stage/METHOD/path`."""
    stage = "/".join(method_arn.split("/")[:2])
    opened = [f"{stage}/{rule.method}/{rule.path}" for rule in rules if rule.scope in claims.scopes]
    allowed = opened if rules else [f"{stage}/*"]
    return {
        "principalId": claims.principal,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow" if allowed else "Deny",  # a policy must say something
                    "Resource": list(dict.fromkeys(allowed)) or [f"{stage}/*"],
                }
            ],
        },
    }
