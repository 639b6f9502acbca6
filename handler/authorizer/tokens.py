"""One token: taken from the event, checked, and reduced to who it is and which scopes it carries."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import ClaimError, JoseError
from joserfc.jws import JWSRegistry

from handler.authorizer.keys import Keys
from handler.authorizer.settings import AuthorizerSettings

ALGORITHMS = ("RS256", "ES256")
"""What public keys sign. `none` and HS256 (with the public key as its secret) are known attacks."""
LEEWAY_SECONDS = 60
"""By which the issuer's clock may differ."""
MAX_LENGTH = 8192
"""Characters; API Gateway takes 10,240 bytes of headers together."""


class Refused(Exception):
    """A token that does not count. The reason goes to the log, never to the caller."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Who calls, and the scopes that were granted."""

    principal: str
    scopes: frozenset[str]


class _Signed(JWSRegistry):
    max_header_length = 2048  # of its own 512, certificate thumbprints and chains take too much


_REGISTRY = _Signed(algorithms=ALGORITHMS, strict_check_header=False)  # issuers add members; `crit` is looked at


def bearer(event: Mapping[str, Any]) -> str:
    """Return the token of the Authorization header. Raises Refused unless there is one, of the Bearer scheme."""
    several = event.get("multiValueHeaders") or {k: [v] for k, v in (event.get("headers") or {}).items()}
    values: list[str] = [value for name, found in several.items() if name.lower() == "authorization" for value in found]
    if len(values) != 1:  # the answer is cached by the header's value: by which of several, nobody says
        raise Refused("header")
    scheme, _, token = values[0].partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > MAX_LENGTH or not token.isascii():
        raise Refused("header")
    return token


def verify(token: str, settings: AuthorizerSettings, keys: Keys, now: Callable[[], float] = time.time) -> Claims:
    """Check signature, issuer, audience and times. Raises Refused, and KeysUnavailable where nothing can be checked."""

    def key(signed: Any) -> Any:  # asked once the header is found to be whole, and its algorithm among the two
        header = signed.headers()
        if (found := keys.find(header["alg"], header.get("kid"))) is None:
            raise Refused("unknown_key")
        return found

    required: Any = {"iss": {"essential": True, "value": settings.issuer}, "exp": {"essential": True}}
    try:
        claims = jwt.decode(token, key, registry=_REGISTRY).claims
        jwt.JWTClaimsRegistry(now=int(now()), leeway=LEEWAY_SECONDS, **required).validate(claims)
    except ClaimError as error:
        raise Refused(f"{error.error}:{error.claim}") from None
    except JoseError as error:
        raise Refused(error.error) from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Refused(f"malformed:{type(error).__name__}") from None
    if not set(settings.audiences) & _audiences(claims):
        raise Refused("audience")
    return Claims(_principal(claims), _scopes(claims))


def _audiences(claims: Mapping[str, Any]) -> set[str]:
    """Whom the token is for; Cognito's access tokens name nobody but their client, and API Gateway takes that too."""
    named = claims.get("aud", claims.get("client_id", []))
    return set(_texts([named] if isinstance(named, str) else named))


def _principal(claims: Mapping[str, Any]) -> str:
    named = _texts([claims.get(name) for name in ("sub", "client_id", "azp")])
    return (named or ["token"])[0][:128]


def _scopes(claims: Mapping[str, Any]) -> frozenset[str]:
    """The scopes of RFC 8693's `scope` and of the `scp` that Entra ID and Okta write, as text or list."""
    found: set[str] = set()
    for name in ("scope", "scp"):
        granted = claims.get(name, [])
        found |= set(granted.split() if isinstance(granted, str) else _texts(granted))
    return frozenset(found)


def _texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
