"""The authorizer: whose token counts, what it opens, what happens when the issuer's keys change or cannot be had."""

import base64
import fnmatch
import hashlib
import hmac
import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from handler.authorizer import keys as keys_module
from handler.authorizer.keys import Keys, KeysUnavailable, usable
from handler.authorizer.policy import policy
from handler.authorizer.settings import AuthorizerSettings, AuthorizerSettingsError, Rule
from handler.authorizer.tokens import LEEWAY_SECONDS, MAX_LENGTH, Claims, Refused, bearer, verify
from tests.conftest import ROOT
from tests.issuer import AUDIENCE, Issuer, key, running

STAGE = "arn:aws:execute-api:us-east-1:123456789012:abcdef1234/prod"
NOW = 1_800_000_000.0


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running() as found:
        yield found


class Clock:
    """A time that a test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(issuer: Issuer) -> AuthorizerSettings:
    return AuthorizerSettings.from_env({"JWT_ISSUER": issuer.url, "JWT_AUDIENCE": f"other, {AUDIENCE}"})


@pytest.fixture
def keys(settings: AuthorizerSettings, clock: Clock) -> Keys:
    return Keys(settings, clock=clock)


Check = Callable[[str], Claims]


@pytest.fixture
def check(settings: AuthorizerSettings, keys: Keys) -> Check:
    return lambda token: verify(token, settings, keys)


def reason(check: Check, token: str) -> str:
    with pytest.raises(Refused) as refused:
        check(token)
    return str(refused.value)


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# --- whose token counts


@pytest.mark.parametrize("signer", ["first", "second"])
def test_tokens_of_both_algorithms_count(check: Check, issuer: Issuer, signer: str) -> None:
    chosen = key("first") if signer == "first" else key("second", "EC")
    assert check(issuer.token(chosen, scope="a b")) == Claims("caller", frozenset({"a", "b"}))


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://evil.example"}, "invalid_claim:iss"),
        ({"iss": None}, "missing_claim:iss"),
        ({"iss": ["x"]}, "invalid_claim:iss"),
        ({"aud": "else"}, "audience"),
        ({"aud": None}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": {AUDIENCE: 1}}, "invalid_claim:aud"),
        ({"aud": "else", "client_id": AUDIENCE}, "audience"),
        ({"exp": None}, "missing_claim:exp"),
        ({"exp": "tomorrow"}, "invalid_claim:exp"),
    ],
)
def test_a_token_for_others_or_without_an_end_is_refused(
    check: Check, issuer: Issuer, claims: dict[str, Any], why: str
) -> None:
    assert reason(check, issuer.token(**claims)).startswith(why)


@pytest.mark.parametrize("claims", [{"aud": ["x", AUDIENCE]}, {"aud": None, "client_id": AUDIENCE}])
def test_one_audience_of_several_is_enough_and_cognito_names_the_client(
    check: Check, issuer: Issuer, claims: dict[str, Any]
) -> None:
    assert check(issuer.token(**claims)).principal == "caller"


@pytest.mark.parametrize(
    ("claim", "offset", "why"),
    [
        ("exp", -LEEWAY_SECONDS + 10, None),
        ("exp", -LEEWAY_SECONDS - 10, "expired_token:exp"),
        ("nbf", LEEWAY_SECONDS - 10, None),
        ("nbf", LEEWAY_SECONDS + 10, "invalid_claim:nbf"),
        ("iat", LEEWAY_SECONDS - 10, None),
        ("iat", LEEWAY_SECONDS + 10, "invalid_claim:iat"),
    ],
)
def test_clocks_may_differ_by_a_minute_and_no_more(
    check: Check, issuer: Issuer, claim: str, offset: int, why: str | None
) -> None:
    claims: dict[str, Any] = {claim: int(time.time()) + offset}
    token = issuer.token(**claims)
    if why is None:
        assert check(token)
    else:
        assert reason(check, token) == why


def test_what_carries_no_signature_is_refused_before_any_key_is_fetched(check: Check, issuer: Issuer) -> None:
    claims = encoded({"iss": issuer.url, "aud": AUDIENCE, "sub": "x", "exp": int(time.time()) + 99})
    for algorithm in ("none", "None", "NONE", "nOnE", "", None, ["RS256"], 7):
        for signature in ("", "AAAA"):
            with pytest.raises(Refused):
                check(f"{encoded({'alg': algorithm, 'kid': 'first'})}.{claims}.{signature}")
    assert issuer.asked == []


def test_the_public_key_is_no_secret_of_hs256(check: Check, issuer: Issuer) -> None:
    now = int(time.time())
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "x", "exp": now + 99}
    public = key("first").as_pem(private=False)
    for secret in (public, public.strip(), key("first").as_der(private=False)):
        header, body = encoded({"alg": "HS256", "kid": "first"}), encoded(claims)
        signature = encoded(hmac.new(secret, f"{header}.{body}".encode(), hashlib.sha256).digest())
        assert reason(check, f"{header}.{body}.{signature}") == "unsupported_algorithm"
    assert issuer.asked == []


@pytest.mark.parametrize("algorithm", ["RS384", "PS256", "ES384", "HS512", "EdDSA"])
def test_other_algorithms_are_refused(check: Check, issuer: Issuer, algorithm: str) -> None:
    rest = issuer.token().split(".", 1)[1]
    assert reason(check, f"{encoded({'alg': algorithm, 'kid': 'first'})}.{rest}") == "unsupported_algorithm"


def test_a_keys_own_algorithm_is_the_only_one_that_it_serves(check: Check, issuer: Issuer, clock: Clock) -> None:
    rest = issuer.token().split(".", 1)[1]
    assert reason(check, f"{encoded({'alg': 'ES256', 'kid': 'first'})}.{rest}") == "unknown_key"
    declared = RSAKey.import_key(key("first").as_dict(private=True) | {"alg": "RS512", "kid": "declared"})
    issuer.keys.append(declared)
    clock.now += keys_module.FRESH_SECONDS
    assert reason(check, issuer.token(key("first"), {"kid": "declared"})) == "unknown_key"


def test_a_stranger_with_a_known_key_id_is_refused(check: Check, issuer: Issuer) -> None:
    stranger = key("stranger")
    assert reason(check, issuer.token(stranger, {"kid": "first"})) == "bad_signature"
    # Keys that the token brings itself are never looked at.
    own = {"jwk": stranger.as_dict(private=False), "jku": f"{issuer.url}/evil", "x5u": f"{issuer.url}/evil"}
    with pytest.raises(Refused):
        check(issuer.token(stranger, {"kid": "first", **own}))
    assert not [path for path in issuer.asked if "evil" in path]


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_changed_token_is_refused(check: Check, issuer: Issuer, part: int) -> None:
    parts = issuer.token().split(".")
    middle = len(parts[part]) // 2
    parts[part] = parts[part][:middle] + ("A" if parts[part][middle] != "A" else "B") + parts[part][middle + 1 :]
    with pytest.raises(Refused):
        check(".".join(parts))


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "a.b",
        "a.b.c",
        "..",
        "....",
        "a.b.c.d.e",
        "%00.%00.%00",
        encoded([1]) + ".e30.AA",
        encoded("text") + ".e30.AA",
        encoded(b'{"alg":"RS256"') + ".e30.AA",
        encoded({"alg": "RS256", "kid": ["first"]}) + ".e30.AA",
        encoded({"alg": "RS256", "kid": {"a": 1}}) + ".e30.AA",
        encoded({"alg": "RS256", "kid": "first", "crit": ["x"]}) + ".e30.AA",
        encoded(b"[" * 3000) + ".e30.AA",
        encoded({"kid": "first"}) + ".e30.AA",
    ],
)
def test_what_is_no_token_is_refused_and_never_an_error(check: Check, token: str) -> None:
    assert reason(check, token)


@pytest.mark.parametrize("payload", [b"[]", b"text", b"\xff", b'{"exp": 1e999}', b"{" * 2000, b"null"])
def test_a_signed_payload_that_is_no_set_of_claims_is_refused(check: Check, payload: bytes) -> None:
    token = jws.serialize_compact({"alg": "RS256", "kid": "first"}, payload, key("first"))
    assert reason(check, token)


def test_an_extension_that_must_be_understood_is_not(check: Check, issuer: Issuer) -> None:
    signed = jws.serialize_compact(
        {"alg": "RS256", "kid": "first", "crit": ["exp"], "exp": 1},
        b"{}",
        key("first"),
        registry=jws.JWSRegistry(header_registry={"exp": _any_header()}),
    )
    assert reason(check, signed)


def _any_header() -> Any:
    from joserfc.registry import HeaderParameter  # noqa: PLC0415

    return HeaderParameter("made up", "int")


# --- where the token stands


def event(*values: str, name: str = "Authorization") -> dict[str, Any]:
    return {
        "headers": {name: values[-1]} if values else {},
        "multiValueHeaders": {name: list(values)} if values else {},
    }


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
def test_the_token_is_the_bearers(name: str, scheme: str) -> None:
    assert bearer(event(f"{scheme}a.b.c", name=name)) == "a.b.c"


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("",),
        ("Bearer",),
        ("Bearer ",),
        ("a.b.c",),
        ("Basic a.b.c",),
        ("Bearer a.b.ć",),
        ("Bearer a", "Bearer b"),
        ("Bearer " + "a" * (MAX_LENGTH + 1),),
    ],
)
def test_none_several_or_a_huge_token_is_refused(values: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="header"):
        bearer(event(*values))
    assert bearer(event("Bearer " + "a" * MAX_LENGTH))


@pytest.mark.parametrize("sent", [{}, {"headers": None}, {"headers": None, "multiValueHeaders": None}])
def test_an_event_without_headers_is_refused(sent: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        bearer(sent)


# --- keys


def test_keys_are_fetched_once_through_discovery(check: Check, issuer: Issuer) -> None:
    for _ in range(3):
        check(issuer.token())
    assert issuer.asked == ["/realm/.well-known/openid-configuration", "/realm/keys"]


def test_keys_named_in_the_settings_need_no_discovery(issuer: Issuer, settings: AuthorizerSettings) -> None:
    direct = replace(settings, keys_url=f"{issuer.url}/keys")
    verify(issuer.token(), direct, Keys(direct))
    assert issuer.asked == ["/realm/keys"]


def test_another_issuers_discovery_document_is_not_believed(check: Check, issuer: Issuer) -> None:
    issuer.named = "https://evil.example"
    with pytest.raises(KeysUnavailable):
        check(issuer.token())
    assert issuer.asked == ["/realm/.well-known/openid-configuration"]


def test_a_new_key_is_found_when_a_token_names_it(check: Check, issuer: Issuer, clock: Clock) -> None:
    check(issuer.token())
    issuer.keys = [key("third")]
    assert reason(check, issuer.token(key("third"))) == "unknown_key"  # just fetched: not again at once
    clock.now += keys_module.PAUSE_SECONDS
    assert check(issuer.token(key("third")))
    assert reason(check, issuer.token(key("first"))) == "unknown_key"  # withdrawn


def test_a_withdrawn_key_is_gone_when_the_keys_are_old(check: Check, issuer: Issuer, clock: Clock) -> None:
    check(issuer.token())
    issuer.keys = [key("third")]
    clock.now += keys_module.FRESH_SECONDS - 1
    assert check(issuer.token())
    clock.now += 1
    assert reason(check, issuer.token()) == "unknown_key"


def test_invented_key_ids_do_not_make_us_the_issuers_attacker(check: Check, issuer: Issuer) -> None:
    for number in range(50):
        assert reason(check, issuer.token(key("first"), {"kid": f"invented-{number}"})) == "unknown_key"
    assert issuer.asked.count("/realm/keys") == 1


def test_kept_keys_serve_on_for_a_day_while_the_issuer_is_down(check: Check, issuer: Issuer, clock: Clock) -> None:
    token = issuer.token(exp=int(NOW) + 10**9)
    check(token)
    issuer.status = 503
    clock.now += keys_module.STALE_SECONDS - 1
    assert check(token)
    clock.now += 1
    with pytest.raises(KeysUnavailable, match="HTTPError"):
        check(token)
    issuer.status = 200
    clock.now += keys_module.PAUSE_SECONDS
    assert check(token)


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (500, None),
        (302, None),
        (200, []),
        (200, {}),
        (200, {"keys": None}),
        (200, {"keys": []}),
        (200, {"keys": [7]}),
        (200, {"keys": [key("first").as_dict(private=False)], "more": "x" * keys_module.MAX_BYTES}),
    ],
)
def test_without_any_key_nobody_is_to_blame_but_nothing_is_let_through(
    issuer: Issuer, settings: AuthorizerSettings, clock: Clock, status: int, document: Any
) -> None:
    direct = replace(settings, keys_url=f"{issuer.url}/keys")
    keys = Keys(direct, clock=clock)
    issuer.status, issuer.document = status, document
    for _ in range(5):
        with pytest.raises(KeysUnavailable):
            verify(issuer.token(), direct, keys)
    assert issuer.asked == ["/realm/keys"]  # redirects are not followed, and a pause is kept
    issuer.status, issuer.document = 200, None
    clock.now += keys_module.RETRY_SECONDS
    assert verify(issuer.token(), direct, keys)


def test_a_server_that_is_not_there_is_no_key(settings: AuthorizerSettings) -> None:
    gone = replace(settings, keys_url="http://127.0.0.1:9/keys")
    with pytest.raises(KeysUnavailable, match="URLError"):
        Keys(gone).find("RS256", "first")


def test_a_token_without_a_key_id_is_checked_by_the_only_key(check: Check, issuer: Issuer, clock: Clock) -> None:
    assert check(_without_kid(issuer))
    issuer.keys.append(key("third"))
    clock.now += keys_module.FRESH_SECONDS
    assert reason(check, _without_kid(issuer)) == "unknown_key"


def _without_kid(issuer: Issuer) -> str:
    now = int(time.time())
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "caller", "exp": now + 99}
    bare = RSAKey.import_key({k: v for k, v in key("first").as_dict(private=True).items() if k != "kid"})
    token = jwt.encode({"alg": "RS256"}, claims, bare)
    assert "kid" not in json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))
    return token


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_only_keys_that_may_sign_are_kept() -> None:
    def public(found: Any, **members: Any) -> Any:
        return found.as_dict(private=False) | members

    good = public(key("first"))
    refused = [
        public(key("first"), use="enc"),
        public(RSAKey.generate_key(1024)),
        public(ECKey.generate_key("P-384")),
        OctKey.generate_key(256).as_dict(private=True),
        {"kty": "RSA"},
        {"kty": "new", "kid": "x"},
        {},
    ]
    assert [found.kid for found in usable({"keys": [*refused, good]})] == ["first"]


# --- settings


ENV = {"JWT_ISSUER": "https://issuer.example", "JWT_AUDIENCE": "a", "AWS_LAMBDA_FUNCTION_NAME": "f"}


def test_rules_are_read() -> None:
    text = "model:predict=POST/*, https://x.example/read=GET/models/*,all=*/*"
    assert AuthorizerSettings.from_env(ENV | {"JWT_SCOPES": text}).rules == (
        Rule("model:predict", "POST", "*"),
        Rule("https://x.example/read", "GET", "models/*"),
        Rule("all", "*", "*"),
    )


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"JWT_ISSUER": ""}, "JWT_ISSUER: expected an https:// URL"),
        ({"JWT_ISSUER": "http://issuer.example"}, "JWT_ISSUER: expected an https:// URL"),
        ({"JWT_KEYS_URL": "file:///etc/passwd"}, "JWT_KEYS_URL: expected an https:// URL"),
        ({"JWT_AUDIENCE": " , "}, "JWT_AUDIENCE: expected an audience"),
        ({"JWT_SCOPES": "predict"}, "JWT_SCOPES: expected scope=METHOD/path"),
        ({"JWT_SCOPES": "predict=post/x"}, "JWT_SCOPES: expected scope=METHOD/path"),
        ({"JWT_SCOPES": "predict=POST/x?"}, "JWT_SCOPES: expected scope=METHOD/path"),
        ({"JWT_SCOPE": "x"}, "JWT_SCOPE: no such setting"),
    ],
)
def test_a_wrong_setting_names_its_variable(env: dict[str, str], said: str) -> None:
    with pytest.raises(AuthorizerSettingsError, match=said.replace("*", r"\*")):
        AuthorizerSettings.from_env(ENV | env)


def test_plain_http_is_for_this_machine_only() -> None:
    local = {"JWT_ISSUER": "http://127.0.0.1:1"}
    assert AuthorizerSettings.from_env(ENV | local | {"AWS_SAM_LOCAL": "true"}).plain_http
    with pytest.raises(AuthorizerSettingsError):
        AuthorizerSettings.from_env(ENV | local)


# --- what it opens


RULES = (Rule("predict", "POST", "*"), Rule("read", "GET", "models"), Rule("read", "GET", "models/*"))


def may(answer: dict[str, Any], method: str, path: str) -> bool:
    """What API Gateway makes of a policy: denied unless a statement allows the resource."""
    (statement,) = answer["policyDocument"]["Statement"]
    arn = f"{STAGE}/{method}/{path}"
    found = any(fnmatch.fnmatchcase(arn, pattern) for pattern in statement["Resource"])
    return found and statement["Effect"] == "Allow"


def test_a_cached_policy_opens_every_route_of_the_scopes_and_no_other() -> None:
    for asked in ("GET/models", "POST/predict", "DELETE/models/x"):  # whichever route came first
        read = policy(f"{STAGE}/{asked}", Claims("c", frozenset({"read", "else"})), RULES)
        assert may(read, "GET", "models")
        assert may(read, "GET", "models/iris/versions/1.0.0")
        assert not may(read, "POST", "predict")
        assert not may(read, "POST", "models/iris/predict")
        assert not may(read, "GET", "modelsx")
        both = policy(f"{STAGE}/{asked}", Claims("c", frozenset({"read", "predict"})), RULES)
        assert may(both, "GET", "models")
        assert may(both, "POST", "v2/models/iris/infer")
        assert not may(both, "DELETE", "models/iris")


def test_a_token_without_a_scope_that_counts_may_call_nothing() -> None:
    answer = policy(f"{STAGE}/GET/models", Claims("c", frozenset({"else"})), RULES)
    assert answer["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    assert not may(answer, "GET", "models")


def test_without_rules_any_valid_token_may_call_every_route_of_its_stage() -> None:
    answer = policy(f"{STAGE}/GET/models", Claims("c", frozenset()), ())
    assert may(answer, "POST", "predict")
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement["Resource"] == [f"{STAGE}/*"]


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "a b"}, {"a", "b"}),
        ({"scp": ["a", "b", 7]}, {"a", "b"}),
        ({"scp": "a", "scope": "b"}, {"a", "b"}),
        ({"scope": {"a": 1}}, set()),
        ({"scope": 7}, set()),
    ],
)
def test_scopes_are_read_as_issuers_write_them(
    check: Check, issuer: Issuer, claims: dict[str, Any], scopes: set[str]
) -> None:
    assert check(issuer.token(**claims)).scopes == scopes


# --- the function


@pytest.fixture
def handler(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any, Any], Any]:
    monkeypatch.setenv("JWT_ISSUER", issuer.url)
    monkeypatch.setenv("JWT_AUDIENCE", AUDIENCE)
    monkeypatch.setenv("JWT_SCOPES", "predict=POST/*")
    sys.modules.pop("handler.on_authorize", None)
    found: Callable[[Any, Any], Any] = importlib.import_module("handler.on_authorize").handler
    return found


def sample(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "events" / "authorize.json").read_text())
    assert list(found["multiValueHeaders"]["Authorization"]) == [found["headers"]["Authorization"]]
    found["headers"]["Authorization"] = f"Bearer {token}"
    found["multiValueHeaders"]["Authorization"] = [f"Bearer {token}"]
    return found


def test_the_sample_event_gets_a_policy(
    handler: Callable[[Any, Any], Any], issuer: Issuer, capsys: pytest.CaptureFixture[str]
) -> None:
    token = issuer.token(scope="predict")
    answer = handler(sample(token), None)
    assert answer["principalId"] == "caller"
    assert may(answer, "POST", "models/iris/predict")
    line = capsys.readouterr().out
    assert json.loads(line)["outcome"] == "granted"
    assert token.split(".")[1] not in line
    assert "caller" not in line


def test_a_refusal_is_the_text_that_becomes_401_and_its_reason_is_logged(
    handler: Callable[[Any, Any], Any], issuer: Issuer, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$") as raised:
        handler(sample(issuer.token(aud="else")), None)
    assert raised.value.__cause__ is None
    assert json.loads(capsys.readouterr().out)["outcome"] == "audience"
    # The sample as it is carries no token at all.
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        handler(json.loads((ROOT / "events" / "authorize.json").read_text()), None)


def test_without_keys_the_error_is_another_one(
    handler: Callable[[Any, Any], Any], issuer: Issuer, capsys: pytest.CaptureFixture[str]
) -> None:
    issuer.status = 500
    with pytest.raises(KeysUnavailable):
        handler(sample(issuer.token()), None)
    assert json.loads(capsys.readouterr().out)["outcome"] == "unavailable"
