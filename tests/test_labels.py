import pytest

from model import labels, moves
from model.errors import ArtifactCorrupt, ArtifactIncompatible, ArtifactMissing
from model.labels import Labels, Target


def test_the_only_version_is_live_without_a_label_file() -> None:
    assert labels.live_version("iris", None, ("1.0.0",)) == "1.0.0"


def test_several_versions_without_a_label_are_an_error_that_names_them() -> None:
    with pytest.raises(ArtifactMissing, match=r"1\.0\.0, 1\.1\.0 and no live label"):
        labels.live_version("iris", None, ("1.0.0", "1.1.0"))


def test_the_label_decides() -> None:
    assert labels.live_version("iris", Labels(Target("1.0.0", "sha256:x")), ("1.0.0", "1.1.0")) == "1.0.0"


def test_a_move_is_remembered_and_survives_the_file() -> None:
    first = moves.move(Labels(), "live", Target("1.0.0", "sha256:a"), at="t1", by="ann")
    second = moves.move(first, "live", Target("1.1.0", "sha256:b"), at="t2", by="bob")
    read = labels.parse(labels.dump(second))
    assert read == second
    assert [(move.origin, move.to, move.by) for move in read.history] == [
        (None, "1.0.0", "ann"),
        ("1.0.0", "1.1.0", "bob"),
    ]
    assert b'"from": "1.0.0"' in labels.dump(second)


@pytest.mark.parametrize(("content", "error"), [(b"{", ArtifactCorrupt), (b'{"format": 2}', ArtifactIncompatible)])
def test_a_foreign_file_is_refused(content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        labels.parse(content)
