import pytest

from handler.settings import VARIABLES, Settings, SettingsError

DIGEST = "sha256:" + "a" * 64
KEY = "ed25519:" + "A" * 43 + "="


def test_the_defaults_are_a_local_folder_here_and_the_layer_on_lambda() -> None:
    assert Settings.from_env({}).store.endswith("/artifacts")
    assert Settings.from_env({"AWS_LAMBDA_FUNCTION_NAME": "f"}).store == "file:///opt/model"


def test_every_variable_is_read() -> None:
    settings = Settings.from_env(
        {
            "MODEL_STORE": "s3://bucket/prefix",
            "MODEL_DEFAULT": "iris",
            "MODEL_TRUST": "pinned",
            "MODEL_PINS": f"iris/1.0.0={DIGEST}, babies/1.0.0={DIGEST}",
            "MODEL_PUBLIC_KEYS": f"{KEY}, {KEY}",
            "MODEL_VERSION_MISMATCH": "warn",
            "MODEL_ENGINES": "onnx, joblib",
            "MODEL_MAX_BODY_BYTES": "10",
            "MODEL_MAX_ROWS": "2",
            "MODEL_CORS_ORIGIN": "https://app.example.com",
            "MODEL_REFRESH_SECONDS": "0",
            "MODEL_REFRESH_BUDGET_MS": "200",
            "MODEL_MEMORY_MB": "300",
            "MODEL_MAX_COLUMNS": "3",
            "MODEL_MAX_STRING": "4",
            "MODEL_MAX_DEPTH": "5",
            "MODEL_MAX_DIGITS": "6",
            "MODEL_DIALECTS": "tf-serving, open-inference",
            "MODEL_API_KEY": "k" * 20,
            "MODEL_PATH": "m.pkl",
            "MODEL_RESULTS_QUEUE": "https://sqs.us-east-1.amazonaws.com/123456789012/results.fifo",
            "MODEL_ERRORS_QUEUE": "http://127.0.0.1:5000/123456789012/errors",
            "MODEL_RESULTS_BUS": "arn:aws:events:us-east-1:123456789012:event-bus/garden",
            "MODEL_DEPLOY_HTTP": "arn:aws:lambda:us-east-1:123456789012:function:demo-ApiFunction-x:7",
            "MODEL_DEPLOY_INVOKE": "arn:aws:lambda:us-east-1:123456789012:function:demo-InvokeFunction-x:8",
            "MODEL_RECORD_SHARE": "0.25",
            "MODEL_RECORD_DETAIL": "values",
            "MODEL_FEEDBACK": "on",
            "MODEL_RECORDS": "s3://records/prefix",
            "MODEL_MONITOR_HOURS": "6",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:5000",
        }
    )
    assert settings.pins == {"iris/1.0.0": DIGEST, "babies/1.0.0": DIGEST}
    assert (settings.trust, settings.max_body_bytes, settings.max_rows) == ("pinned", 10, 2)
    assert (settings.max_columns, settings.max_string, settings.max_depth, settings.max_digits) == (3, 4, 5, 6)
    assert settings.dialects == ("open-inference", "tf-serving")
    assert settings.api_key == "k" * 20
    assert "k" * 20 not in repr(settings)
    assert settings.engines == ("onnx", "joblib")
    assert settings.cors_origin == "https://app.example.com"
    assert (settings.refresh_seconds, settings.refresh_budget_ms, settings.memory_mb) == (0, 200, 300)
    assert settings.public_keys == (KEY, KEY)
    assert settings.results_queue == "https://sqs.us-east-1.amazonaws.com/123456789012/results.fifo"
    assert settings.errors_queue == "http://127.0.0.1:5000/123456789012/errors"
    assert settings.results_bus == "arn:aws:events:us-east-1:123456789012:event-bus/garden"
    assert (settings.deploy_http or "").endswith("ApiFunction-x:7")
    assert (settings.deploy_invoke or "").endswith("InvokeFunction-x:8")
    assert (settings.record_share, settings.record_detail, settings.feedback) == (0.25, "values", True)
    assert (settings.records, settings.monitor_hours) == ("s3://records/prefix", 6)
    assert settings.endpoint == "http://127.0.0.1:5000"


def test_an_empty_value_is_unset_as_a_template_passes_it() -> None:
    assert Settings.from_env(dict.fromkeys(VARIABLES, "")) == Settings.from_env({})


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"MODEL_DEPLOY_HTTP": "ApiFunction"}, "MODEL_DEPLOY_HTTP: expected the ARN of a function's version"),
        ({"MODEL_STOR": "x"}, "MODEL_STOR: no such setting"),
        ({"MODEL_STORE": "s3://"}, "MODEL_STORE: expected file:///folder or s3://bucket/prefix"),
        ({"MODEL_STORE": "s3:///models"}, "MODEL_STORE: expected file:///folder or s3://bucket/prefix"),
        ({"MODEL_STORE": "/tmp"}, "MODEL_STORE: expected file:///folder or s3://bucket/prefix"),
        ({"MODEL_DEFAULT": "../x"}, "MODEL_DEFAULT: expected a model's name"),
        ({"MODEL_TRUST": "yes"}, "MODEL_TRUST: expected one of bundled, pinned"),
        ({"MODEL_PINS": "iris=sha256:1"}, "MODEL_PINS: expected name/version"),
        ({"MODEL_PUBLIC_KEYS": "ed25519:abc"}, "MODEL_PUBLIC_KEYS: expected ed25519:<44 characters of base64>"),
        ({"MODEL_TRUST": "signed"}, "MODEL_PUBLIC_KEYS: expected at least one public key"),
        ({"MODEL_VERSION_MISMATCH": "ignore"}, "MODEL_VERSION_MISMATCH: expected one of refuse, warn"),
        ({"MODEL_ENGINES": "onnx,torch"}, "MODEL_ENGINES: expected one of onnx, joblib"),
        ({"MODEL_REFRESH_SECONDS": "-1"}, "MODEL_REFRESH_SECONDS: expected a whole number, 0 for never"),
        ({"MODEL_REFRESH_SECONDS": "1", "MODEL_TRUST": "pinned"}, "MODEL_REFRESH_SECONDS: expected 0 with"),
        ({"MODEL_MEMORY_MB": "x"}, "MODEL_MEMORY_MB: expected a whole number above 0"),
        ({"MODEL_MAX_ROWS": "0"}, "MODEL_MAX_ROWS: expected a whole number above 0"),
        ({"MODEL_MAX_BODY_BYTES": "1k"}, "MODEL_MAX_BODY_BYTES: expected a whole number above 0"),
        ({"MODEL_CORS_ORIGIN": "app.example.com"}, "MODEL_CORS_ORIGIN: expected an origin such as https://"),
        ({"MODEL_CORS_ORIGIN": "https://a\r\nset-cookie: b"}, "MODEL_CORS_ORIGIN: expected an origin such as https://"),
        ({"MODEL_RESULTS_QUEUE": "results"}, "MODEL_RESULTS_QUEUE: expected a queue's URL"),
        ({"MODEL_ERRORS_QUEUE": "arn:aws:sqs:us-east-1:123456789012:e"}, "MODEL_ERRORS_QUEUE: expected a queue's URL"),
        ({"MODEL_RESULTS_BUS": "my bus"}, "MODEL_RESULTS_BUS: expected the name or the ARN"),
        ({"MODEL_RECORD_SHARE": "1.5"}, "MODEL_RECORD_SHARE: expected a share from 0 to 1"),
        ({"MODEL_RECORD_SHARE": "ten"}, "MODEL_RECORD_SHARE: expected a share from 0 to 1"),
        ({"MODEL_RECORD_DETAIL": "all"}, "MODEL_RECORD_DETAIL: expected one of bins, answers, values"),
        ({"MODEL_FEEDBACK": "yes"}, "MODEL_FEEDBACK: expected one of off, on"),
        ({"MODEL_FEEDBACK": "on"}, "MODEL_FEEDBACK: on needs a MODEL_RECORD_SHARE above 0"),
        (
            {"MODEL_FEEDBACK": "on", "MODEL_RECORD_SHARE": "1", "MODEL_RECORD_DETAIL": "bins"},
            "MODEL_FEEDBACK: on needs the answers",
        ),
        ({"MODEL_RECORDS": "/tmp"}, "MODEL_RECORDS: expected file:///folder"),
        ({"MODEL_MONITOR_HOURS": "0"}, "MODEL_MONITOR_HOURS: expected a whole number above 0"),
        ({"MODEL_DIALECTS": "v2"}, "MODEL_DIALECTS: expected one of open-inference, invocations, tf-serving, none"),
        ({"MODEL_API_KEY": "short"}, "MODEL_API_KEY: expected at least 20"),
        ({"MODEL_API_KEY": "k" * 20, "AWS_LAMBDA_FUNCTION_NAME": "f"}, "MODEL_API_KEY: for local use only"),
        ({"MODEL_PATH": "m.pkl", "AWS_LAMBDA_FUNCTION_NAME": "f"}, "MODEL_PATH: for local use only"),
    ],
)
def test_a_wrong_value_names_its_variable(env: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError, match=message.replace("..", r"\.\.")):
        Settings.from_env(env)


@pytest.mark.parametrize(("memory", "vcpus"), [("512", 1), ("1769", 1), ("3537", 1), ("3538", 2), ("10240", 5)])
def test_whole_vcpus_follow_from_the_memory(memory: str, vcpus: int) -> None:
    assert Settings.from_env({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": memory}).vcpus == vcpus
    assert Settings.from_env({}).vcpus == 1


def test_labels_are_followed_on_s3_unless_the_deployment_pins_digests() -> None:
    remote = {"MODEL_STORE": "s3://bucket/prefix"}
    assert Settings.from_env({}).refresh_seconds == 0
    assert Settings.from_env(remote).refresh_seconds == 60
    assert Settings.from_env(remote | {"MODEL_TRUST": "pinned"}).refresh_seconds == 0


def test_models_may_take_most_of_the_functions_memory() -> None:
    assert Settings.from_env({}).memory_mb is None
    assert Settings.from_env({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}).memory_mb == 1513
    assert Settings.from_env({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "400"}).memory_mb == 200
