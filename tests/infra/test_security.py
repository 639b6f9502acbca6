"""Who may call what, by the translated template in each mode, and what API Gateway says when it refuses."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from handler.http_call import SECURITY
from tests.infra.stack import deployed, of_type, packaged, translate

MODES = {"ApiKey": "api_key", "Iam": "sigv4", "Jwt": "jwt"}
HEALTH = {("/health", "get"), ("/health/{proxy+}", "get")}
PAGE = {(path, "get") for path in ("/", "/page/{proxy+}", "/docs", "/docs/{proxy+}", "/openapi.json")}
ANY = "x-amazon-apigateway-any-method"
CORS = {"CorsOrigin": "https://app.example.com"}

Methods = Iterator[tuple[tuple[str, str], dict[str, Any]]]


def definition(**parameters: str) -> dict[str, Any]:
    """The OpenAPI document that API Gateway would import."""
    (api,) = of_type(deployed(parameters), "AWS::ApiGateway::RestApi").values()
    found: dict[str, Any] = api["Body"]
    return found


def methods(body: dict[str, Any]) -> Methods:
    for path, item in body["paths"].items():
        for method, operation in item.items():
            yield (path, method), operation


def open_to_all(body: dict[str, Any]) -> set[tuple[str, str]]:
    """The methods that ask nobody who he is: without security, with an empty one, or one that is no scheme."""
    schemes = body["components"]["securitySchemes"]
    found = set()
    for where, operation in methods(body):
        asked = [name for entry in operation.get("security") or [] for name in entry]
        if not asked or not set(asked) <= schemes.keys():
            found.add(where)
    return found


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("page", ["true", "false"])
def test_nothing_is_open_but_what_is_listed(mode: str, page: str) -> None:
    body = definition(AuthMode=mode, PublicPage=page)
    assert open_to_all(body) == HEALTH | (PAGE if page == "true" else set())
    assert "security" not in body
    for where, operation in methods(body):
        if where not in HEALTH | PAGE:
            assert operation["security"] == [{MODES[mode]: []}], where
            assert where == ("/{proxy+}", ANY)


@pytest.mark.parametrize("mode", MODES)
def test_with_cors_the_preflights_are_open_too_and_reach_no_function(mode: str) -> None:
    body = definition(AuthMode=mode, **CORS)
    preflights = {where for where, _ in methods(body) if where[1] == "options"}
    assert {path for path, _ in preflights} == {"/", "/health", "/health/{proxy+}", "/openapi.json", "/{proxy+}"}
    assert open_to_all(body) == HEALTH | PAGE | preflights
    for where, operation in methods(body):
        kind = operation["x-amazon-apigateway-integration"]["type"]
        assert kind == ("mock" if where in preflights else "aws_proxy")


def test_predictions_are_open_only_where_it_was_asked_for_by_name() -> None:
    assert ("/{proxy+}", ANY) in open_to_all(definition(AuthMode="None"))
    mode = packaged()["Parameters"]["AuthMode"]
    assert (mode["Default"], set(mode["AllowedValues"])) == ("ApiKey", {*MODES, "None"})


def test_no_function_adds_methods_of_its_own_to_the_api() -> None:
    for resource in packaged()["Resources"].values():
        for event in resource["Properties"].get("Events", {}).values():
            assert event["Type"] not in ("Api", "HttpApi")
    assert "Auth" not in packaged()["Resources"]["Api"]["Properties"]


def test_a_method_that_is_added_without_security_would_be_found() -> None:
    body = definition()
    body["paths"]["/admin"] = {"post": {}}
    body["paths"]["/typo"] = {"post": {"security": [{"apikey": []}]}}
    assert open_to_all(body) - HEALTH - PAGE == {("/admin", "post"), ("/typo", "post")}


@pytest.mark.parametrize("mode", [*MODES, "None"])
def test_each_mode_has_what_it_needs_and_nothing_of_the_others(mode: str) -> None:
    stack = deployed({"AuthMode": mode})
    schemes = definition(AuthMode=mode)["components"]["securitySchemes"]
    assert set(stack) & {"Key", "Plan", "PlanKey"} == ({"Key", "Plan", "PlanKey"} if mode == "ApiKey" else set())
    assert ("AuthorizerFunction" in stack) is (mode == "Jwt")
    assert schemes["jwt"]["x-amazon-apigateway-authtype"] == ("custom" if mode == "Jwt" else "awsSigv4")
    assert schemes["api_key"] == {"type": "apiKey", "name": "x-api-key", "in": "header"}
    assert schemes["sigv4"]["x-amazon-apigateway-authtype"] == "awsSigv4"


# --- keys


def test_a_key_has_a_rate_a_burst_and_a_quota() -> None:
    stack = deployed({"KeyRate": "3", "KeyBurst": "5", "KeyQuotaPerDay": "70"})
    (plan,) = of_type(stack, "AWS::ApiGateway::UsagePlan").values()
    assert plan["Throttle"] == {"RateLimit": "3", "BurstLimit": "5"}
    assert plan["Quota"] == {"Limit": "70", "Period": "DAY"}
    assert plan["ApiStages"] == [{"ApiId": "<Api>", "Stage": "<ApiprodStage>"}]
    (member,) = of_type(stack, "AWS::ApiGateway::UsagePlanKey").values()
    assert (member["KeyId"], member["UsagePlanId"]) == ("<Key>", "<Plan>")


def test_a_keys_value_is_neither_in_the_template_nor_in_an_output() -> None:
    (key,) = of_type(deployed(), "AWS::ApiGateway::ApiKey").values()
    assert key == {"Enabled": True}
    assert '"Key"' not in json.dumps(packaged()["Outputs"])


# --- tokens


@pytest.fixture(scope="module")
def jwt() -> dict[str, Any]:
    given = {"JwtIssuer": "https://issuer.example", "JwtAudience": "a,b", "JwtScopes": "predict=POST/*"}
    return deployed({"AuthMode": "Jwt", "JwtCacheSeconds": "77", **given})


def test_the_authorizer_is_asked_by_the_token_and_kept_for_as_long_as_said(jwt: dict[str, Any]) -> None:
    body = jwt["Api"]["Properties"]["Body"]
    scheme = body["components"]["securitySchemes"]["jwt"]
    assert (scheme["name"], scheme["x-amazon-apigateway-authtype"]) == ("Authorization", "custom")
    authorizer = scheme["x-amazon-apigateway-authorizer"]
    assert (authorizer["type"], authorizer["authorizerResultTtlInSeconds"]) == ("request", "77")
    assert authorizer["identitySource"] == "method.request.header.Authorization"
    assert authorizer["authorizerUri"].endswith("/functions/<AuthorizerFunction.Arn>/invocations")


def test_the_authorizer_is_small_and_may_write_its_logs_and_nothing_else(jwt: dict[str, Any]) -> None:
    function = jwt["AuthorizerFunction"]["Properties"]
    assert function["Handler"] == "handler.on_authorize.handler"
    assert "Layers" not in function
    assert function["Environment"]["Variables"] == {
        "JWT_ISSUER": "https://issuer.example",
        "JWT_AUDIENCE": "a,b",
        "JWT_KEYS_URL": "",
        "JWT_SCOPES": "predict=POST/*",
    }
    assert function["Role"] == "<AuthorizerRole.Arn>"
    role = jwt["AuthorizerRole"]["Properties"]
    assert "ManagedPolicyArns" not in role
    (policy,) = role["Policies"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
    assert statement["Resource"] == "<AuthorizerLogs.Arn>"
    permission = jwt["AuthorizerPermission"]["Properties"]
    assert permission["SourceArn"].endswith(":<Api>/authorizers/*")
    assert permission["FunctionName"] == "<AuthorizerFunction.Arn>"


def test_tokens_without_issuer_or_audience_stop_the_deployment() -> None:
    rule = translate()["Rules"]["JwtIsWhole"]
    assert rule["RuleCondition"] == {"Fn::Equals": [{"Ref": "AuthMode"}, "Jwt"]}
    needed = [assertion["Assert"]["Fn::Not"][0]["Fn::Equals"] for assertion in rule["Assertions"]]
    assert needed == [[{"Ref": "JwtIssuer"}, ""], [{"Ref": "JwtAudience"}, ""]]


# --- limits


def test_each_public_path_has_a_limit_of_its_own() -> None:
    ((_, stage),) = of_type(deployed({"PublicRate": "2", "PublicBurst": "3"}), "AWS::ApiGateway::Stage").items()
    limited = {}
    for setting in stage["MethodSettings"][1:]:
        path = setting["ResourcePath"].replace("/~1", "/", 1).replace("~1", "/")
        limited[path, setting["HttpMethod"].lower()] = (
            setting["ThrottlingRateLimit"],
            setting["ThrottlingBurstLimit"],
        )
    assert limited == dict.fromkeys(HEALTH | PAGE, ("2", "3"))


@pytest.mark.parametrize(("given", "expected"), [("", None), ("0", "0"), ("25", "25")])
def test_concurrency_is_reserved_only_where_it_was_asked_for(given: str, expected: str | None) -> None:
    function = of_type(deployed({"ReservedConcurrency": given}), "AWS::Lambda::Function")["ApiFunction"]
    assert function.get("ReservedConcurrentExecutions") == expected


def test_answers_are_compressed_and_nothing_is_binary() -> None:
    (api,) = of_type(deployed(), "AWS::ApiGateway::RestApi").values()
    assert api["MinimumCompressionSize"] == 1024
    assert "BinaryMediaTypes" not in api  # */* would break the preflight's mock


# --- other origins


def test_without_an_origin_there_is_no_preflight_and_no_header() -> None:
    body = definition()
    assert "options" not in {method for (_, method), _ in methods(body)}
    assert "Access-Control" not in json.dumps(body)
    variables = of_type(deployed(), "AWS::Lambda::Function")["ApiFunction"]["Environment"]["Variables"]
    assert variables["MODEL_CORS_ORIGIN"] == ""


def test_with_an_origin_preflight_refusals_and_answers_name_it() -> None:
    body = definition(**CORS)
    preflights = [operation for (_, method), operation in methods(body) if method == "options"]
    assert all(operation == preflights[0] for operation in preflights)
    ((_, answer),) = preflights[0]["x-amazon-apigateway-integration"]["responses"].items()
    given = {name.rpartition(".")[2]: value for name, value in answer["responseParameters"].items()}
    assert given["Access-Control-Allow-Origin"] == "'https://app.example.com'"
    assert set(given) == set(preflights[0]["responses"]["204"]["headers"])  # API Gateway drops what is not declared
    for response in body["x-amazon-apigateway-gateway-responses"].values():
        header = response["responseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"]
        assert header == "'https://app.example.com'"
    variables = of_type(deployed(CORS), "AWS::Lambda::Function")["ApiFunction"]["Environment"]["Variables"]
    assert variables["MODEL_CORS_ORIGIN"] == "https://app.example.com"


@pytest.mark.parametrize(
    ("origin", "fits"),
    [("", True), ("*", True), ("https://a.example:8443", True), ("a.example", False), ("https://a'b", False)],
)
def test_an_origin_is_checked_before_it_is_written_into_a_header(origin: str, fits: bool) -> None:
    assert bool(re.fullmatch(packaged()["Parameters"]["CorsOrigin"]["AllowedPattern"], origin)) is fits


# --- refusals

STATUS = {
    "ACCESS_DENIED": 403,
    "AUTHORIZER_FAILURE": 503,
    "EXPIRED_TOKEN": 403,
    "INTEGRATION_FAILURE": 504,
    "INTEGRATION_TIMEOUT": 504,
    "INVALID_API_KEY": 403,
    "INVALID_SIGNATURE": 403,
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "QUOTA_EXCEEDED": 429,
    "REQUEST_TOO_LARGE": 413,
    "THROTTLED": 429,
    "UNAUTHORIZED": 401,
    "DEFAULT_4XX": None,
    "DEFAULT_5XX": None,
}


def test_each_refusal_is_a_problem_with_the_requests_id_and_nothing_internal() -> None:
    responses = definition()["x-amazon-apigateway-gateway-responses"]
    assert responses.keys() == STATUS.keys()
    for kind, response in responses.items():
        ((media, template),) = response["responseTemplates"].items()
        problem = json.loads(template)
        assert media == "application/json"
        assert (problem["type"], problem["id"]) == ("about:blank", "$context.requestId")
        assert problem.get("status") == STATUS[kind]
        assert response.get("statusCode") == (str(STATUS[kind]) if STATUS[kind] else None)
        assert {"title", "detail", "error"} <= problem.keys()
        assert set(re.findall(r"\$[\w.]+", template)) <= {"$context.requestId", "$context.error.responseType"}


def test_a_refusal_has_the_headers_of_the_services_own_answers() -> None:
    own = {name.decode(): f"'{value.decode()}'" for name, value in SECURITY} | {"cache-control": "'no-store'"}
    for kind, response in definition()["x-amazon-apigateway-gateway-responses"].items():
        given = {name.rpartition(".")[2].lower(): value for name, value in response["responseParameters"].items()}
        assert given["content-type"] == "'application/problem+json'"
        assert own.items() <= given.items(), kind
        assert ("retry-after" in given) is (kind in ("THROTTLED", "AUTHORIZER_FAILURE"))
        assert ("www-authenticate" in given) is (kind == "UNAUTHORIZED")


# --- the address


def test_a_domain_of_ones_own_switches_the_other_address_off() -> None:
    named = {"DomainName": "models.example.com", "CertificateArn": "arn:aws:acm:x", "HostedZoneId": "Z1"}
    stack = deployed(named)
    (domain,) = of_type(stack, "AWS::ApiGateway::DomainName").values()
    assert (domain["SecurityPolicy"], domain["EndpointConfiguration"]) == ("TLS_1_2", {"Types": ["REGIONAL"]})
    (mapping,) = of_type(stack, "AWS::ApiGateway::BasePathMapping").values()
    assert mapping == {"DomainName": "<Domain>", "RestApiId": "<Api>", "Stage": "<ApiprodStage>"}
    (record,) = of_type(stack, "AWS::Route53::RecordSet").values()
    assert (record["Name"], record["HostedZoneId"]) == ("models.example.com", "Z1")
    assert _execute_api_is_off(definition(**named)) is True
    assert not of_type(deployed({**named, "HostedZoneId": ""}), "AWS::Route53::RecordSet")
    assert _execute_api_is_off(definition()) is False
    assert not of_type(deployed(), "AWS::ApiGateway::DomainName")


def _execute_api_is_off(body: dict[str, Any]) -> bool:
    (server,) = body["servers"]
    return bool(server["x-amazon-apigateway-endpoint-configuration"]["disableExecuteApiEndpoint"])


def test_a_domain_without_a_certificate_stops_the_deployment() -> None:
    rule = translate()["Rules"]["DomainHasCertificate"]
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "CertificateArn"}, ""]}]}


def test_a_web_acl_is_associated_with_the_stage() -> None:
    assert not of_type(deployed(), "AWS::WAFv2::WebACLAssociation")
    stack = deployed({"WebAclArn": "arn:aws:wafv2:x"})
    (association,) = of_type(stack, "AWS::WAFv2::WebACLAssociation").values()
    arn = "arn:aws:apigateway:us-east-1::/restapis/<Api>/stages/<ApiprodStage>"
    assert association == {"ResourceArn": arn, "WebACLArn": "arn:aws:wafv2:x"}


# --- access logs


def test_access_logs_have_no_body_no_header_and_no_query() -> None:
    assert "AccessLogSetting" not in of_type(deployed(), "AWS::ApiGateway::Stage")["ApiprodStage"]
    stack = deployed({"AccessLogs": "true", "LogRetentionDays": "7"})
    setting = of_type(stack, "AWS::ApiGateway::Stage")["ApiprodStage"]["AccessLogSetting"]
    assert setting["DestinationArn"] == "<AccessLog.Arn>"
    assert of_type(stack, "AWS::Logs::LogGroup")["AccessLog"]["RetentionInDays"] == "7"
    line = json.loads(setting["Format"])
    assert line["id"] == "$context.requestId"
    assert set(line.values()) == {
        f"$context.{name}"
        for name in (
            "requestId", "requestTimeEpoch", "identity.sourceIp", "httpMethod", "path", "resourcePath", "status",
            "error.responseType", "responseLength", "responseLatency", "integrationLatency", "integrationStatus",
            "identity.apiKeyId", "identity.userArn", "authorizer.principalId",
        )
    }  # fmt: skip
