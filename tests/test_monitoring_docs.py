"""docs/monitoring.md against the code: metrics, settings, numbers, the sample record."""

import json
import re

from handler import feedback, monitor, records
from handler.settings import VARIABLES
from model import drift, findings, histograms, pack, quality, window
from model.records import PredictionRecord, encode, read
from tests.conftest import ROOT

TEXT = (ROOT / "docs/monitoring.md").read_text()
# The format's own members.
EMF = {"Namespace", "Dimensions", "Metrics", "Name", "Unit", "Timestamp", "CloudWatchMetrics"}
FLAT = " ".join(TEXT.split())


def test_every_metric_is_in_its_table_and_no_other() -> None:
    (table,) = re.findall(r"^\| metric .*?\n\n", TEXT, re.MULTILINE | re.DOTALL)
    named = {name for line in table.strip().splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    source = (ROOT / "handler/monitor.py").read_text() + (ROOT / "model/quality.py").read_text()
    written = set(re.findall(r'"([A-Z]\w+)":', source)) | set(re.findall(r'found\["(\w+)"\]', source))
    assert named == written - EMF


def test_the_settings_are_known() -> None:
    assert set(re.findall(r"MODEL_[A-Z_]+", TEXT)) <= set(VARIABLES)


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"limit**: {drift.FLOOR}," in FLAT
    assert f"fewer than {drift.SMALL} rows is marked" in FLAT
    assert drift.FALSE_ALARMS == 0.001
    assert "quantile at 0.1 % for all columns" in FLAT
    assert f"{pack.SAMPLE_ROWS:,} of them at random" in FLAT
    assert f"the {histograms.CATEGORIES} most frequent" in FLAT
    assert f"at most {window.FEEDBACK:,} answers" in FLAT
    assert (records.ROWS, feedback.MAX_BYTES, quality.BINS) == (10, 4096, 10)


def test_every_count_of_what_could_not_be_used_is_explained() -> None:
    counts = set(findings.Found(None, None, unknown=1, unmatched=1, unusable=1, left_out=1).document())
    assert counts - {"from", "to", "objects", "drifted"} == {"unknown", "unmatched", "unusable", "left_out"}
    assert all(f"`{name}`" in TEXT for name in ("unknown", "unmatched", "unusable", "left_out"))
    assert monitor.PATIENCE.retries


def test_the_sample_record_is_one() -> None:
    (sample,) = re.findall(r'^\{"message": "prediction".*$', TEXT, re.MULTILINE)
    (found,) = read([json.dumps(json.loads(sample), separators=(",", ":")).encode()], feedback=False)
    assert isinstance(found, PredictionRecord)
    assert json.loads(encode(found)) == json.loads(sample)
