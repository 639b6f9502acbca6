"""Each mode under `sam local start-api`: tokens are asked for as they are deployed, keys and signatures are not.

start-api runs Lambda authorizers and nothing else of API Gateway's own: no API key, no signature, no quota, no mock and
no gateway response. What it leaves out is shown here too, so that nobody takes its silence for a proof; that the
deployed API asks for them is in test_security.py.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import docker  # type: ignore[import-untyped]
import httpx2
import pytest

from tests.infra.test_lab import IRIS, lab, serving
from tests.issuer import AUDIENCE, Issuer, key, running

__all__ = ["lab"]  # the fixture that skips where there is no Docker

pytestmark = [pytest.mark.sam, pytest.mark.lab]


@pytest.fixture(scope="module")
def issuer(lab: None) -> Iterator[Issuer]:
    """An issuer that containers reach."""
    with running("0.0.0.0") as found:
        found.url = found.named = found.url.replace("127.0.0.1", this_machine())
        yield found


def this_machine() -> str:
    """Return where containers find this machine: their bridge's gateway on Linux, Docker Desktop's name elsewhere."""
    if sys.platform != "linux":
        return "host.docker.internal"
    (network,) = docker.from_env().networks.get("bridge").attrs["IPAM"]["Config"]
    return str(network["Gateway"])


@pytest.fixture(scope="module")
def asked(
    built: Path, issuer: Issuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx2.Client, Path]]:
    """The API with AuthMode=Jwt, and what it has printed."""
    folder = tmp_path_factory.mktemp("start-api-jwt")
    given = ("AuthMode=Jwt", f"JwtIssuer={issuer.url}", f"JwtAudience={AUDIENCE}")
    running_api = serving(folder, *given, "JwtScopes=predict=POST/*,read=GET/models")
    with running_api as url, httpx2.Client(base_url=url, timeout=60) as client:
        yield client, folder / "log"


Asked = tuple[httpx2.Client, Path]


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("path", ["/", "/health", "/health/ready", "/docs", "/openapi.json"])
def test_what_is_public_needs_no_token(asked: Asked, path: str) -> None:
    assert asked[0].get(path).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/predict"), ("GET", "/models"), ("POST", "/models/iris/predict")]
)
def test_without_a_token_the_answer_is_401_and_no_function_runs(asked: Asked, method: str, path: str) -> None:
    client, log = asked
    client.get("/health")
    before = log.read_text().count('"message":"request"')
    assert client.request(method, path, json=IRIS).status_code == 401
    assert log.read_text().count('"message":"request"') == before


@pytest.mark.parametrize("signer", ["RSA", "EC"])
def test_a_token_with_the_scope_predicts(asked: Asked, issuer: Issuer, signer: str) -> None:
    chosen = key("first") if signer == "RSA" else key("second", "EC")
    answer = asked[0].post("/predict", json=IRIS, headers=bearer(issuer.token(chosen, scope="predict")))
    assert (answer.status_code, answer.json()["prediction"]) == (200, 1)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_scope_opens_its_routes_and_no_other(asked: Asked, issuer: Issuer) -> None:
    client, _ = asked
    read, predict = (bearer(issuer.token(scope=scope)) for scope in ("read", "predict"))
    assert client.get("/models", headers=read).status_code == 200
    assert client.post("/predict", json=IRIS, headers=read).status_code == 403
    assert client.get("/models", headers=predict).status_code == 403


def test_a_token_that_does_not_count_is_refused_and_the_reason_logged(asked: Asked, issuer: Issuer) -> None:
    client, log = asked
    # start-api knows no "Unauthorized": what API Gateway makes a 401 of is a failed authorizer here.
    answer = client.post("/predict", json=IRIS, headers=bearer(issuer.token(aud="else", scope="predict")))
    assert answer.status_code == 502
    lines = [json.loads(line) for line in log.read_text().splitlines() if '"message": "authorize"' in line]
    assert lines[-1]["outcome"] == "audience"


@pytest.mark.parametrize("mode", ["ApiKey", "Iam", "None"])
def test_keys_and_signatures_are_not_asked_for_here(built: Path, tmp_path: Path, mode: str) -> None:
    with serving(tmp_path, f"AuthMode={mode}") as url:
        answer = httpx2.post(f"{url}/predict", json=IRIS, timeout=60)
    assert (answer.status_code, answer.json()["prediction"]) == (200, 1)
