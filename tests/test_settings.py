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
            "MODEL_PATH": "m.pkl",
            "MODEL_RESULTS_QUEUE": "https://sqs.us-east-1.amazonaws.com/123456789012/results.fifo",
            "MODEL_ERRORS_QUEUE": "http://127.0.0.1:5000/123456789012/errors",
            "MODEL_RESULTS_BUS": "arn:aws:events:us-east-1:123456789012:event-bus/garden",
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
    assert settings.engines == ("onnx", "joblib")
    assert settings.public_keys == (KEY, KEY)
    assert settings.results_queue == "https://sqs.us-east-1.amazonaws.com/123456789012/results.fifo"
    assert settings.errors_queue == "http://127.0.0.1:5000/123456789012/errors"
    assert settings.results_bus == "arn:aws:events:us-east-1:123456789012:event-bus/garden"
    assert (settings.record_share, settings.record_detail, settings.feedback) == (0.25, "values", True)
    assert (settings.records, settings.monitor_hours) == ("s3://records/prefix", 6)
    assert settings.endpoint == "http://127.0.0.1:5000"


def test_an_empty_value_is_unset_as_a_template_passes_it() -> None:
    assert Settings.from_env(dict.fromkeys(VARIABLES, "")) == Settings.from_env({})


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"MODEL_STOR": "x"}, "MODEL_STOR: no such setting"),
        ({"MODEL_STORE": "/tmp"}, "MODEL_STORE: expected file:///folder or s3://bucket/prefix"),
        ({"MODEL_DEFAULT": "../x"}, "MODEL_DEFAULT: expected a model's name"),
        ({"MODEL_TRUST": "yes"}, "MODEL_TRUST: expected one of bundled, pinned"),
        ({"MODEL_PINS": "iris=sha256:1"}, "MODEL_PINS: expected name/version"),
        ({"MODEL_PUBLIC_KEYS": "ed25519:abc"}, "MODEL_PUBLIC_KEYS: expected ed25519:<44 characters of base64>"),
        ({"MODEL_TRUST": "signed"}, "MODEL_PUBLIC_KEYS: expected at least one public key"),
        ({"MODEL_VERSION_MISMATCH": "ignore"}, "MODEL_VERSION_MISMATCH: expected one of refuse, warn"),
        ({"MODEL_ENGINES": "onnx,torch"}, "MODEL_ENGINES: expected one of onnx, joblib"),
        ({"MODEL_MAX_ROWS": "0"}, "MODEL_MAX_ROWS: expected a whole number above 0"),
        ({"MODEL_MAX_BODY_BYTES": "1k"}, "MODEL_MAX_BODY_BYTES: expected a whole number above 0"),
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
