from pathlib import Path

import pytest

from model.errors import ArtifactCorrupt, ArtifactIncompatible
from model.manifest import Feature, Manifest, Output, digest, dump, is_name, parse

MANIFEST = Manifest(
    format=1,
    name="iris",
    version="1.0.0",
    task="classification",
    estimator="LogisticRegression",
    engine="joblib",
    input="array",
    features=(Feature("a", "number", range=(0, 1), example=0.5), Feature("b", "category", categories=("x", "y"))),
    outputs=(Output("prediction", "class", classes=(0, 1), labels=("no", "yes")),),
    digests={"model.joblib": digest(b"x")},
    environment={"scikit-learn": "1.9.1"},
    created="2026-11-21T00:00:00+00:00",
)


def test_a_manifest_survives_its_file() -> None:
    assert parse(dump(MANIFEST)) == MANIFEST


def test_a_newer_format_is_incompatible_even_in_another_shape() -> None:
    with pytest.raises(ArtifactIncompatible, match="format 2, this code reads 1"):
        parse(b'{"format": 2, "features": "elsewhere"}')


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 1, "name": "iris"}', dump(MANIFEST)[:-20]])
def test_what_is_no_manifest_is_corrupt(content: bytes) -> None:
    with pytest.raises(ArtifactCorrupt):
        parse(content)


def test_an_unknown_member_is_ignored_so_that_a_field_can_be_added() -> None:
    assert parse(dump(MANIFEST).replace(b'"format": 1', b'"later": [], "format": 1')) == MANIFEST


def test_the_digest_is_sha256_as_other_tools_print_it() -> None:
    assert digest(b"abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("name", ["iris", "1.0.0", "A-b_c.d", "x" * 64])
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a..b", "a/b", "-a", ".a", "a\n", "x" * 65, "é", "a b", "%2e"])
def test_what_could_leave_its_folder_is_no_name(name: str) -> None:
    assert not is_name(name)


def test_no_training_row_is_public(packed: Path) -> None:
    """Examples are medians and modes, ranges are quantiles: the example row as a whole is no row of the data."""
    import pandas as pd  # noqa: PLC0415

    births = pd.read_csv(Path(__file__).parents[1] / "data" / "babies.csv")
    manifest = parse((packed / "babies/1.0.0/manifest.json").read_bytes())
    example = {feature.name: feature.example for feature in manifest.features}
    assert not (births[list(example)] == pd.Series(example)).all(axis=1).any()
