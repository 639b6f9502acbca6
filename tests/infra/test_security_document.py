"""docs/security.md says what the template does: parameters, defaults, open paths, refusals, the authorizer."""

import re

from handler.authorizer import keys, tokens
from infra.authorizer_code import CEILING
from tests.infra.stack import ROOT, packaged
from tests.infra.test_security import HEALTH, PAGE, STATUS, definition

TEXT = (ROOT / "docs" / "security.md").read_text()
PARAMETERS = packaged()["Parameters"]


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_parameter_of_the_template_that_it_names_is_there() -> None:
    named = set(
        re.findall(
            r"\b((?:Auth|Jwt|Key|Public|Throttle|Cors|Access|WebAcl|Reserved|Domain|Certificate|Hosted)[A-Z]\w+)\b",
            TEXT,
        )
    )
    assert named - {"DomainTarget", "AccessDenied"} <= PARAMETERS.keys()
    about = {
        name
        for name in PARAMETERS
        if re.match(r"Auth|Jwt|Key|Public|Throttle|Cors|Access|Web|Reserved|Dom|Cert|Host", name)
    }
    assert about <= named


def test_every_output_that_it_names_is_there() -> None:
    assert {"UsagePlan", "CallArn", "DomainTarget"} <= packaged()["Outputs"].keys()
    assert all(name in TEXT for name in ("UsagePlan", "CallArn", "DomainTarget"))


def test_the_modes_are_the_parameters() -> None:
    _, *modes = re.findall(r"^\| `(\w+)`", section("Modes"), re.MULTILINE)
    assert modes == PARAMETERS["AuthMode"]["AllowedValues"]


def test_the_limits_are_the_defaults() -> None:
    found: dict[str, int] = {}
    for names, told in re.findall(
        r"^\| [^|]+ \| ((?:`\w+`(?:, )?)+) \| ([\d,]+.*?) \|$", section("Limits"), re.MULTILINE
    ):
        numbers = [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", told)]
        found |= dict(zip(re.findall(r"\w+", names), numbers, strict=True))
    assert len(found) == 7
    assert found == {name: PARAMETERS[name]["Default"] for name in found}


def test_the_open_paths_are_the_definitions() -> None:
    told = set(re.findall(r"`(/[^`]*)`", section("What is public").split("Everything else")[0]))
    open_paths = {path.replace("{proxy+}", "…") for path, _ in HEALTH | PAGE}
    assert {path for path in told if not path.startswith("/health/")} | {"/health/…"} == open_paths


def test_the_refusals_are_the_definitions() -> None:
    told: dict[str, int] = {}
    for status, names in re.findall(r"^\| (\d+) \| (.*) \|$", section("Refusals"), re.MULTILINE):
        told |= dict.fromkeys(re.findall(r"`(\w+)`", names), int(status))
    expected = {kind.title().replace("_", ""): status for kind, status in STATUS.items() if status}
    assert told == expected
    for kind, response in definition()["x-amazon-apigateway-gateway-responses"].items():
        if STATUS[kind]:
            assert f'"error":"{kind.title().replace("_", "")}"' in response["responseTemplates"]["application/json"]


def test_the_figures_of_the_authorizer_are_its_own() -> None:
    assert (keys.FRESH_SECONDS, keys.PAUSE_SECONDS, keys.STALE_SECONDS) == (600, 30, 24 * 3600)
    assert (keys.MIN_RSA_BITS, tokens.LEEWAY_SECONDS, tokens.MAX_LENGTH) == (2048, 60, 8192)
    assert (keys.MAX_BYTES, PARAMETERS["JwtCacheSeconds"]["Default"], CEILING) == (256 * 1024, 60, 20_000_000)
    for figure in ("ten minutes", "once in 30 s", "last 24 h", "2,048 bits", "60 s", "8,192 characters", "256 KB"):
        assert figure in TEXT
