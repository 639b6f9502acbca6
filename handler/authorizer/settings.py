"""What a deployment decides of its tokens, and the only reader of the authorizer's environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

VARIABLES = ("JWT_ISSUER", "JWT_AUDIENCE", "JWT_KEYS_URL", "JWT_SCOPES")
_SCOPE = r"(?P<scope>[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]+)"  # RFC 6749, 3.3, but for the comma
_RULE = re.compile(_SCOPE + r"=(?P<method>\*|[A-Z]+)/(?P<path>[\w.~*/-]*)", re.ASCII)


class AuthorizerSettingsError(ValueError):
    """A variable has a value that it cannot have; the message names the variable and what is expected."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A scope and what it opens: a method or `*`, and a path without its first slash; in it `*` is any text."""

    scope: str
    method: str
    path: str


@dataclass(frozen=True, slots=True)
class AuthorizerSettings:
    """The issuer whose tokens count, the audiences of which one is named, where the keys are, and the rules.

    Without `keys_url` the issuer's discovery document says where the keys are; without rules any valid token may call
    every route. `plain_http` lets a local key server go without TLS.
    """

    issuer: str
    audiences: tuple[str, ...]
    keys_url: str | None = None
    rules: tuple[Rule, ...] = ()
    plain_http: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "AuthorizerSettings":
        """Read JWT_* from `env`; an empty value counts as unset. Raises AuthorizerSettingsError."""
        given = {name: value.strip() for name, value in env.items() if name.startswith("JWT_") and value.strip()}
        if unknown := sorted(set(given) - set(VARIABLES)):
            raise AuthorizerSettingsError(f"{', '.join(unknown)}: no such setting; known are {', '.join(VARIABLES)}")
        plain_http = "AWS_LAMBDA_FUNCTION_NAME" not in env or env.get("AWS_SAM_LOCAL") == "true"
        audiences = tuple(name.strip() for name in given.get("JWT_AUDIENCE", "").split(",") if name.strip())
        if not audiences:
            raise AuthorizerSettingsError("JWT_AUDIENCE: expected an audience, or several separated by commas")
        return cls(
            issuer=_url("JWT_ISSUER", given.get("JWT_ISSUER", ""), plain_http),
            audiences=audiences,
            keys_url=_url("JWT_KEYS_URL", given["JWT_KEYS_URL"], plain_http) if "JWT_KEYS_URL" in given else None,
            rules=tuple(map(_rule, filter(None, given.get("JWT_SCOPES", "").split(",")))),
            plain_http=plain_http,
        )


def is_allowed(url: str, plain_http: bool) -> bool:
    """Tell whether keys may come from there: keys read without TLS are anybody's keys."""
    return url.startswith("https://") or (plain_http and url.startswith("http://"))


def _url(variable: str, value: str, plain_http: bool) -> str:
    if not is_allowed(value, plain_http):
        raise AuthorizerSettingsError(f"{variable}: expected an https:// URL")
    return value


def _rule(text: str) -> Rule:
    found = _RULE.fullmatch(text.strip())
    if not found:
        raise AuthorizerSettingsError("JWT_SCOPES: expected scope=METHOD/path, several separated by commas")
    return Rule(found["scope"], found["method"], found["path"])
