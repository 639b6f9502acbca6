"""The authorizer's zip as `sam build` makes it, and the function in it on the real runtime client."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.authorizer_code import CEILING, MODULES
from infra.built import Function
from infra.emulator import Emulator, EmulatorUnavailable, emulator
from infra.sizes import unzipped
from tests.infra.stack import ROOT
from tests.issuer import AUDIENCE, Issuer, running

pytestmark = pytest.mark.sam


@pytest.fixture(scope="module")
def code(built: Path) -> Path:
    return built / "AuthorizerFunction"


def test_the_zip_has_the_authorizer_and_what_it_needs_and_no_model(code: Path) -> None:
    packages = {path.name for path in code.iterdir() if path.is_dir() and not path.name.endswith(".dist-info")}
    assert packages == {"handler", "joserfc", "cryptography"}
    there = {path.name for path in (code / "handler").iterdir()} - {"__pycache__"}
    assert there == {Path(name).name for name in MODULES}
    assert unzipped(code) < CEILING


def test_its_bytecode_is_taken_unchecked(code: Path) -> None:
    for source in code.rglob("*.py"):
        compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc"
        assert struct.unpack("<I", compiled.read_bytes()[4:8]) == (1,), compiled


def test_the_other_functions_go_without_it(built: Path) -> None:
    for function in ("ApiFunction", "InvokeFunction"):
        assert not list((built / function).rglob("*authoriz*"))


@pytest.fixture(scope="module")
def authorizer(code: Path) -> Iterator[tuple[Emulator, Issuer]]:
    try:
        emulator()
    except EmulatorUnavailable as reason:
        pytest.skip(str(reason))
    with running() as issuer:
        given = {"JWT_ISSUER": issuer.url, "JWT_AUDIENCE": AUDIENCE, "JWT_SCOPES": "", "JWT_KEYS_URL": ""}
        function = Function("AuthorizerFunction", "handler.on_authorize.handler", code, (), given, 512)
        with Emulator(function, {"AWS_SAM_LOCAL": "true"}) as lambda_:
            yield lambda_, issuer


def test_on_the_runtime_a_token_gets_its_policy(authorizer: tuple[Emulator, Issuer]) -> None:
    lambda_, issuer = authorizer
    event = json.loads((ROOT / "events" / "authorize.json").read_text())
    event["multiValueHeaders"]["Authorization"] = [f"Bearer {issuer.token()}"]
    answer = lambda_.invoke(event)
    assert answer["principalId"] == "caller"
    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Allow"


def test_on_the_runtime_a_refusal_has_the_text_that_api_gateway_looks_for(authorizer: tuple[Emulator, Issuer]) -> None:
    answer = authorizer[0].invoke(json.loads((ROOT / "events" / "authorize.json").read_text()))
    assert answer["errorMessage"] == "Unauthorized"
