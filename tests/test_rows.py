"""The compiled decoder and the explainer must agree: what one refuses, the other explains."""

import json
import math
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.codec import json_rows
from model.errors import InvalidRows, TooLarge
from model.faults import BOUND, explain
from model.manifest import Feature
from model.rows import LIMIT, Row, RowSchema

MIXED = (
    Feature("age", "number", nullable=True),
    Feature("count", "integer"),
    Feature("member", "boolean"),
    Feature("colour", "category", categories=("red", "green"), nullable=True),
    Feature("size", "category", categories=(1, 2, 3)),
    Feature("city", "category", categories=("Bern",), open=True),
    Feature("note", "text"),
)
SCHEMA = RowSchema(MIXED)
NUMBERS = RowSchema([Feature(name, "number") for name in "abcd"])
GOOD = {"age": 1.5, "count": 2, "member": True, "colour": "red", "size": 2, "city": "Rome", "note": "hi"}

values = {
    "age": st.none() | st.floats(-1e30, 1e30) | st.integers(-(10**9), 10**9),
    "count": st.integers(-(10**9), 10**9),
    "member": st.booleans(),
    "colour": st.sampled_from(["red", "green", None]),
    "size": st.sampled_from([1, 2, 3, 1.0]),
    "city": st.text(),
    "note": st.text(),
}
good_rows = st.fixed_dictionaries(values)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "x"]) | st.text(max_size=3), inner)
    ),
    max_leaves=12,
)


def decode(document: Any, schema: RowSchema = SCHEMA) -> tuple[Row, ...]:
    return json_rows.decode(json.dumps(document).encode(), schema).rows


@given(good_rows)
def test_every_form_of_a_row_decodes_to_the_same_values(row: dict[str, Any]) -> None:
    expected = tuple(row[name] for name in GOOD)
    assert decode({"features": list(expected)}) == (expected,)
    assert decode({"features": dict(reversed(row.items()))}) == (expected,)
    assert decode(row) == (expected,)
    assert decode({"instances": [row, list(expected)]}) == (expected, expected)
    assert json_rows.convert({"instances": [row]}, SCHEMA).rows == (expected,)


@given(st.lists(good_rows, max_size=5))
def test_many_rows_are_each_row_alone(rows: list[dict[str, Any]]) -> None:
    together = decode({"instances": rows})
    assert together == tuple(decode(row)[0] for row in rows)
    assert SCHEMA.matrix(together).shape == (len(rows), len(MIXED))


@given(
    st.fixed_dictionaries(
        {},
        optional={"features": json_values, "instances": json_values, "outputs": json_values}
        | dict.fromkeys(GOOD, json_values),
    )
    | json_values
)
def test_what_is_refused_is_explained_and_what_is_explained_is_refused(document: Any) -> None:
    body = json.dumps(document).encode()
    faults = explain(document, SCHEMA)
    with pytest.raises(InvalidRows) if faults else nullcontext():
        json_rows.decode(body, SCHEMA)
    with pytest.raises(InvalidRows) if faults else nullcontext():
        json_rows.convert(document, SCHEMA)


@pytest.mark.parametrize(
    ("change", "pointer", "detail"),
    [
        ({"age": "1"}, "/age", "expected a number or null, got a string"),
        ({"age": True}, "/age", "expected a number or null, got a boolean"),
        ({"age": math.nan}, "/age", "expected a finite number"),
        ({"age": math.inf}, "/age", "expected a finite number"),
        ({"age": 3.5e38}, "/age", "expected a number within ±3.4e+38"),
        ({"age": 10**400}, "/age", "expected a number within ±3.4e+38"),
        ({"count": 1.5}, "/count", "expected an integer, got another value"),
        ({"count": None}, "/count", "expected an integer, got null"),
        ({"member": 1}, "/member", "expected true or false, got a number"),
        ({"colour": "blue"}, "/colour", 'expected one of "red", "green" or null, got another value'),
        ({"size": 4}, "/size", "expected one of 1, 2, 3, got another value"),
        ({"city": 3}, "/city", "expected a string, got another value"),
        ({"note": ["a"]}, "/note", "expected a string, got an array"),
        ({"a/b~c": 1}, "/a~1b~0c", "not a feature of this model"),
    ],
)
def test_a_bad_field_is_named_with_what_was_expected(change: dict[str, Any], pointer: str, detail: str) -> None:
    with pytest.raises(InvalidRows) as caught:
        decode(GOOD | change)
    assert [(fault.pointer, fault.detail) for fault in caught.value.faults] == [(pointer, detail)]


@pytest.mark.parametrize(
    ("document", "pointers"),
    [
        ({}, [""]),
        ([], [""]),
        ({"features": [1, 2, 3]}, ["/features"]),
        ({"features": [1, 2, 3, 4, 5]}, ["/features"]),
        ({"features": "x"}, ["/features"]),
        ({"features": {"a": 1, "b": 2, "c": 3}}, ["/features/d"]),
        ({"instances": [[1, 2, 3, 4], [1, "x", 3, None]]}, ["/instances/1/1", "/instances/1/3"]),
        ({"instances": {}}, ["/instances"]),
        ({"features": [1, 2, 3, 4], "instances": []}, ["/instances"]),
        ({"features": [1, 2, 3, 4], "a": 1}, ["/a"]),
        ({"a": 1, "b": 2, "c": 3, "e": 4}, ["/d", "/e"]),
        ({"features": [1, 2, 3, 4], "outputs": []}, ["/outputs"]),
        ({"features": [1, 2, 3, 4], "outputs": ["prediction", "shap"]}, ["/outputs/1"]),
    ],
)
def test_faults_point_into_the_document(document: Any, pointers: list[str]) -> None:
    with pytest.raises(InvalidRows) as caught:
        decode(document, NUMBERS)
    assert [fault.pointer for fault in caught.value.faults] == pointers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[[[",
        b"{",
        b'{"features": [1,2,3,4]} x',
        b"\xff\xfe",
        b"[" * 30,
        b'{"features": [1,2,3,' + b"9" * 900 + b"]}",
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRows):
        json_rows.decode(body, NUMBERS)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"features": [1,2,3,' + b"9" * 5000 + b"]}"])
def test_what_is_beyond_a_limit_is_too_large(body: bytes) -> None:
    with pytest.raises(TooLarge):
        json_rows.decode(body, NUMBERS)


def test_a_byte_order_mark_is_skipped_and_the_last_of_two_equal_keys_counts() -> None:
    assert json_rows.decode(b'\xef\xbb\xbf{"features": [1, 2, 3, 4]}', NUMBERS).rows == ((1, 2, 3, 4),)
    assert json_rows.decode(b'{"a":1,"b":2,"c":3,"d":4,"a":9}', NUMBERS).rows == ((9, 2, 3, 4),)


def test_faults_are_bounded_and_repeat_no_value() -> None:
    with pytest.raises(InvalidRows) as caught:
        decode({"instances": [["secret-value", 1, 1, 1]] * 1000}, NUMBERS)
    assert len(caught.value.faults) == BOUND + 1
    assert "secret-value" not in str(caught.value)


def test_the_limit_is_taken_and_beyond_is_not() -> None:
    assert decode({"features": [LIMIT, -LIMIT, 0, 0]}, NUMBERS) == ((LIMIT, -LIMIT, 0, 0),)


def test_a_model_whose_features_are_called_as_the_forms_takes_no_bare_rows() -> None:
    schema = RowSchema([Feature("features", "number"), Feature("b", "number")])
    assert decode({"features": {"features": 1, "b": 2}}, schema) == ((1, 2),)
    with pytest.raises(InvalidRows):
        decode({"b": 2}, schema)


def test_a_null_becomes_what_the_estimator_was_fitted_with() -> None:
    features = [Feature("a", "number", nullable=True), Feature("b", "category", nullable=True, missing="none")]
    matrix = RowSchema(features).matrix([(None, None), (1.0, "x")])
    assert math.isnan(matrix[0, 0])
    assert matrix[0, 1] is None
    numbers = RowSchema(features[:1]).matrix([(None,), (2.0,)])
    assert numbers.dtype == np.float64
    assert math.isnan(numbers[0, 0])
