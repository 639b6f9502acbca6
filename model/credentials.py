"""Credentials from the container credentials endpoint, for obstore: what a function has after a restore by SnapStart.

obstore reads AWS_CONTAINER_CREDENTIALS_FULL_URI only with a token in a file; Lambda gives the token in a variable.
"""

import http.client
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from obstore.store import S3Credential

TIMEOUT = 1.0
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class ContainerCredentials:
    """A provider as obstore takes it: called for credentials, and again before they expire."""

    uri: str
    token: str | None = field(default=None, repr=False)

    def __call__(self) -> "S3Credential":
        """Return fresh credentials; raises OSError or ValueError, of which obstore makes a failed read."""
        for attempt in range(ATTEMPTS):
            try:
                return self._ask()
            except (OSError, http.client.HTTPException):
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _ask(self) -> "S3Credential":
        parts = urlsplit(self.uri)
        connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = connect(parts.netloc, timeout=TIMEOUT)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("GET", path or "/", headers={"Authorization": self.token} if self.token else {})
            answer = connection.getresponse()
            if answer.status != 200:
                raise OSError(f"the credentials endpoint answers {answer.status}")
            found = json.loads(answer.read())
        finally:
            connection.close()
        return {
            "access_key_id": found["AccessKeyId"],
            "secret_access_key": found["SecretAccessKey"],
            "token": found["Token"],
            "expires_at": datetime.fromisoformat(found["Expiration"]),
        }
