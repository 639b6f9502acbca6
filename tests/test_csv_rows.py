"""CSV bodies: header in any order, empty and NA cells, and what is refused."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.codec import csv_rows
from model.errors import InvalidRows
from model.manifest import Feature
from model.rows import RowSchema

SCHEMA = RowSchema(
    (
        Feature("age", "number", nullable=True),
        Feature("member", "boolean"),
        Feature("colour", "category", categories=("red", "NA"), nullable=True),
        Feature("note", "text"),
    )
)
rows = st.tuples(
    st.none() | st.floats(-1e30, 1e30),
    st.booleans(),
    st.sampled_from(["red", "NA", None]),
    st.text(st.characters(exclude_categories=("Cs", "Cc"))),
)


@given(st.lists(rows, max_size=5), st.permutations(range(4)))
def test_what_is_written_is_read_whatever_the_order_of_columns(
    given_rows: list[tuple[Any, ...]], order: list[int]
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow([SCHEMA.names[i] for i in order])
    for row in given_rows:
        writer.writerow(["" if row[i] is None else row[i] for i in order])
    assert csv_rows.decode(out.getvalue().encode(), SCHEMA).rows == tuple(given_rows)


@pytest.mark.parametrize("cell", ["", "NA", " "])
def test_an_absent_number_is_missing(cell: str) -> None:
    body = f"age,member,colour,note\n{cell},1,,x\n".encode("utf-8-sig")
    assert csv_rows.decode(body, SCHEMA).rows == ((None, True, None, "x"),)


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b"", ["/age", "/member", "/colour", "/note"]),
        (b"age,member,colour\n1,1,red\n", ["/note"]),
        (b"age,member,colour,note,extra\n1,1,red,x,y\n", ["/extra"]),
        (b"age,age,member,colour,note\n1,1,1,red,x\n", ["/age"]),
        (b"age,member,colour,note\n1,1,red\n1,1,red,x\n", ["/instances/0"]),
        (b"age,member,colour,note\nold,maybe,blue,x\n", ["/instances/0/0", "/instances/0/1", "/instances/0/2"]),
        (b"age,member,colour,note\nnan,1,red,x\n", ["/instances/0/0"]),
        (b"age,member,colour,note\n1_000,1,red,x\n", ["/instances/0/0"]),
        (b"age,member,colour,note\n1e39,1,red,x\n", ["/instances/0/0"]),
        (b'age,member,colour,note\n1,1,red,"x\n', [""]),
        (b"age,member,colour,note\n1,1,red,\xff\n", [""]),
    ],
)
def test_faults_name_the_column_or_the_cell(body: bytes, pointers: list[str]) -> None:
    with pytest.raises(InvalidRows) as caught:
        csv_rows.decode(body, SCHEMA)
    assert [fault.pointer for fault in caught.value.faults] == pointers
