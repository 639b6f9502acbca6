"""The table of costs in docs/bulk.md is what the prices give."""

from bench import bulk_prices
from bench.bulk_prices import PART_BYTES, ROW_BYTES, ROWS_A_SECOND, machine, one_function, requests, table
from tests.conftest import ROOT


def test_the_table_in_the_document_is_computed() -> None:
    assert table() in (ROOT / "docs" / "bulk.md").read_text()


def test_the_readme_states_them_too() -> None:
    text = (ROOT / "README.md").read_text()
    for way, rows in ((requests, 10**6), (one_function, 10**6), (machine, 10**9)):
        assert f"| {way(rows) / rows * 10**6:.4f}" in text


def test_the_figures_that_the_document_states_are_the_ones_computed_with() -> None:
    text = (ROOT / "docs" / "bulk.md").read_text()
    assert f"rows of {ROW_BYTES} bytes, {ROWS_A_SECOND:,} rows a second" in text
    assert f"Default: {PART_BYTES}\n" in (ROOT / "template.yaml").read_text()


def test_a_million_rows_by_hand() -> None:
    """5.5 s of 1,769 MB; 12 blocks read and 3 more reads, 18 blocks and 4 more writes, one invoke."""
    work = 5.5 * 1769 / 1024 * 0.0000166667
    by_hand = work + 0.2e-6 + 15 * 0.4e-6 + 22 * 5e-6
    assert abs(one_function(10**6) - by_hand) < 1e-9
    assert one_function(10**6) < machine(10**6) < requests(10**6)
    assert not bulk_prices.fits("ObjectFunction", 10**9)
