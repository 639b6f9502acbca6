"""Clients that nobody here wrote, unchanged, against the service as a process."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from botocore.exceptions import ClientError
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.core.api_error import ApiError
from open_inference.openapi.errors import BadRequestError
from open_inference.openapi.types import InferenceRequest, RequestInput

from tests.test_api import NAMED, ROW
from tests.test_local_service import running

KEY = "a-key-of-more-than-20-characters"


@pytest.fixture(scope="module")
def url(packed: Path) -> Iterator[str]:
    with running(MODEL_STORE=packed.as_uri(), MODEL_DEFAULT="iris", MODEL_API_KEY=KEY) as found:
        yield found


@pytest.fixture
def tritons(url: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(url.removeprefix("http://")) as client:
        yield client


HEADERS = {"x-api-key": KEY}


def column(name: str, values: Any, datatype: str = "FP32") -> triton.InferInput:
    array = np.array(values, dtype=np.float32)
    found = triton.InferInput(name, array.shape, datatype)
    found.set_data_from_numpy(array, binary_data=False)
    return found


WANTED = [triton.InferRequestedOutput(name, binary_data=False) for name in ("predict", "predict_proba")]


def test_triton_finds_the_server_ready_and_described(tritons: triton.InferenceServerClient) -> None:
    assert tritons.is_server_live()
    assert tritons.is_server_ready()
    assert tritons.is_model_ready("iris", "1.0.0", headers=HEADERS)
    assert tritons.get_server_metadata(headers=HEADERS)["extensions"] == []
    metadata = tritons.get_model_metadata("iris", headers=HEADERS)
    assert [tensor["name"] for tensor in metadata["inputs"]] == list(NAMED)
    assert {model["name"] for model in tritons.get_model_repository_index(headers=HEADERS)} == {"iris", "babies"}


@pytest.mark.parametrize("version", ["", "1.0.0"])
def test_triton_infers_in_both_layouts(tritons: triton.InferenceServerClient, version: str) -> None:
    one = [column("input", [ROW, [5.1, 3.5, 1.4, 0.2]])]
    many = [column(name, [[value], [value]]) for name, value in NAMED.items()]
    for inputs, labels in ((one, [1, 0]), (many, [1, 1])):
        result = tritons.infer("iris", inputs, model_version=version, outputs=WANTED, headers=HEADERS)
        assert result.as_numpy("predict").ravel().tolist() == labels
        assert result.as_numpy("predict_proba").shape == (2, 3)


def test_tritons_binary_default_is_refused_in_words(tritons: triton.InferenceServerClient) -> None:
    binary = triton.InferInput("input", [1, 4], "FP32")
    binary.set_data_from_numpy(np.array([ROW], dtype=np.float32))
    with pytest.raises(triton.InferenceServerException, match="binary tensor extension is not supported"):
        tritons.infer("iris", [binary], headers=HEADERS)
    with pytest.raises(triton.InferenceServerException, match="no model is called"):
        tritons.infer("nope", [column("input", [ROW])], outputs=WANTED, headers=HEADERS)
    with pytest.raises(triton.InferenceServerException, match=r"403"):
        tritons.infer("iris", [column("input", [ROW])], outputs=WANTED)


def test_the_protocols_own_client(url: str) -> None:
    with httpx.Client(headers={"x-api-key": KEY}) as http:
        client = OpenInferenceClient(base_url=url, httpx_client=http)
        client.check_server_liveness()
        client.check_server_readiness()
        client.check_model_readiness("babies")
        client.check_model_version_readiness("babies", "1.0.0")
        assert client.read_server_metadata().extensions == []
        assert client.read_model_metadata("iris").versions == ["1.0.0"]
        one = [RequestInput(name="input", datatype="FP64", shape=[1, 4], data=ROW)]
        many = [RequestInput(name=name, datatype="FP64", shape=[1], data=[value]) for name, value in NAMED.items()]
        for inputs in (one, many):
            answer = client.model_infer("iris", request=InferenceRequest(id="mine", inputs=inputs))
            assert (answer.id, answer.outputs[0].shape) == ("mine", [1, 1])
            versioned = client.model_version_infer("iris", "1.0.0", request=InferenceRequest(inputs=inputs))
            assert versioned.model_version == "1.0.0"
        with pytest.raises(BadRequestError) as refused:
            client.model_infer("iris", request=InferenceRequest(inputs=many[:2]))
        assert "missing a tensor called petal_length" in str(refused.value)
        with pytest.raises(ApiError, match="no model is called"):
            client.read_model_metadata("nope")


def test_sagemakers_runtime_client(url: str, s3_endpoint: str) -> None:
    client = boto3.client("sagemaker-runtime", endpoint_url=url, region_name="us-east-1")
    client.meta.events.register("before-sign.*", lambda request, **_: request.headers.add_header("x-api-key", KEY))
    answer = client.invoke_endpoint(
        EndpointName="iris", ContentType="text/csv", Accept="text/csv", Body="6.1,2.8,4.7,1.2\n"
    )
    assert answer["Body"].read() == b"1\r\n"
    with pytest.raises(ClientError) as refused:
        client.invoke_endpoint(EndpointName="iris", ContentType="application/json", Body='{"instances": [[1]]}')
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "expected 4 values" in str(refused.value)
