"""The issuer's public keys: fetched when first needed, kept, fetched again when they are old or one is unknown."""

import json
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, RSAKey

from handler.authorizer.settings import AuthorizerSettings, is_allowed

FRESH_SECONDS = 600
"""After this the next call fetches them again, so that a withdrawn key is gone."""
STALE_SECONDS = 24 * 3600
"""For so long they serve on while the issuer does not answer; then a withdrawn key would live for ever."""
PAUSE_SECONDS = 30
"""Between two fetches at least, or tokens with invented key ids would make us the issuer's attacker."""
RETRY_SECONDS = 2
"""The same while there is no key at all."""
TIMEOUT_SECONDS = 3
MAX_BYTES = 256 * 1024
MIN_RSA_BITS = 2048

Key = RSAKey | ECKey
Fetch = Callable[[str], Any]


class KeysUnavailable(Exception):
    """There is no key to check any token with: not the caller's fault, so no 401."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow nowhere: the place of the keys is as much a matter of trust as the keys."""


_opener = urllib.request.build_opener(_NoRedirect)


def fetch(url: str) -> Any:
    """Return the JSON document at `url`. Raises OSError, HTTPException or ValueError."""
    with _opener.open(url, timeout=TIMEOUT_SECONDS) as answer:  # the scheme was checked: is_allowed
        return json.loads(answer.read(MAX_BYTES))  # a longer one is cut, and no JSON


class Keys:
    """The keys of one issuer, for the life of an execution environment."""

    def __init__(
        self, settings: AuthorizerSettings, fetch: Fetch = fetch, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings, self._fetch, self._clock = settings, fetch, clock
        self._url = settings.keys_url
        self._keys: list[Key] = []
        self._fetched = self._tried = float("-inf")
        self.failure: str | None = None
        """Why the last fetch failed, for the log."""

    def find(self, algorithm: str, identifier: str | None) -> Key | None:
        """Return the key of that id which fits the algorithm, None if there is none; without an id the only one.

        Raises KeysUnavailable if no keys could be fetched, now or in the last day.
        """
        age = self._clock() - self._fetched
        found = self._among(algorithm, identifier) if age < STALE_SECONDS else None
        if found is None or age >= FRESH_SECONDS:
            self._refresh()
            found = self._among(algorithm, identifier)
        if self._clock() - self._fetched >= STALE_SECONDS:
            raise KeysUnavailable(self.failure or "no keys yet")
        return found

    def _among(self, algorithm: str, identifier: str | None) -> Key | None:
        fitting = [key for key in self._keys if _fits(key, algorithm) and identifier in (None, key.kid)]
        return fitting[0] if fitting and (identifier is not None or len(fitting) == 1) else None

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._tried < (PAUSE_SECONDS if self._keys else RETRY_SECONDS):
            return
        self._tried = now
        try:
            keys = usable(self._fetch(self._place()))
        except (OSError, HTTPException, ValueError, KeyError, TypeError) as error:
            self.failure = type(error).__name__
            return
        if not keys:
            self.failure = "no key that can be used"
            return
        self._keys, self._fetched, self.failure = keys, now, None

    def _place(self) -> str:
        """Where the keys are, by the settings or by the issuer's discovery document (OpenID Connect Discovery 1.0)."""
        if self._url is None:
            document = self._fetch(self._settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
            url = str(document["jwks_uri"])
            if document["issuer"] != self._settings.issuer or not is_allowed(url, self._settings.plain_http):
                raise ValueError("a discovery document of another issuer, or keys without TLS")
            self._url = url
        return self._url


def usable(document: Any) -> list[Key]:
    """Return the keys of a set that may sign tokens here; one that cannot be read is passed over, as RFC 7517 says."""
    found: list[Key] = []
    for entry in document["keys"]:
        try:
            key = JWKRegistry.import_key(entry)
        except (JoseError, ValueError, KeyError, TypeError):
            continue
        if entry.get("use", "sig") == "sig" and (_fits(key, "RS256") or _fits(key, "ES256")):
            found.append(key)  # type: ignore[arg-type]  # _fits tells
    return found


def _fits(key: Any, algorithm: str) -> bool:
    if key.get("alg") not in (None, algorithm):
        return False
    if algorithm == "RS256":
        return isinstance(key, RSAKey) and key.raw_value.key_size >= MIN_RSA_BITS
    return algorithm == "ES256" and isinstance(key, ECKey) and key.curve_name == "P-256"
