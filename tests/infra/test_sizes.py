"""Sizes, and the gate before Lambda's limit."""

import os
import zipfile
from pathlib import Path

import pytest

from infra.sizes import files, gate, megabytes, parts, parts_of, unzipped, zipped


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, size in {
        "python/big/a.so": 700,
        "python/big/b.py": 100,
        "python/small.py": 150,
        "model/iris/1/m": 50,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    return tmp_path


def test_a_tree_at_the_limit_passes_and_says_how_full_it_is(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gate("ApiFunction", parts_of(tree), 1000)
    assert capsys.readouterr().out == "ApiFunction: 0.001 MB of Lambda's 0.001 MB unzipped (100%)\n"


def test_a_tree_one_byte_over_fails_and_names_what_is_largest(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="ApiFunction: 1,000 bytes unzipped, 1 over its flavour's 999"):
        gate("ApiFunction", parts_of(tree), 999, "its flavour's")
    printed = capsys.readouterr().err
    assert printed.index("python/big") < printed.index("python/small.py") < printed.index("model/iris")


def test_the_trees_of_a_function_count_together(tree: Path, tmp_path: Path) -> None:
    trees = [tree / "python", tree / "model"]
    assert unzipped(*trees) == parts_of(*trees).total() == 1000
    with pytest.raises(SystemExit):
        gate("both", parts_of(*trees), 999)
    assert unzipped(tmp_path / "none") == 0


def test_the_parts_are_packages_and_models(tree: Path) -> None:
    assert parts_of(tree) == {"python/big": 800, "python/small.py": 150, "model/iris": 50}
    some = [path for path in files(tree) if path.suffix != ".so"]
    assert parts(some, tree) == {"python/big": 100, "python/small.py": 150, "model/iris": 50}


def test_no_more_than_a_dozen_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(20):
        (tmp_path / f"file-{i}").write_bytes(b"x" * (i + 1))
    with pytest.raises(SystemExit):
        gate("many", parts_of(tmp_path), 1)
    printed = capsys.readouterr().err
    assert "file-19" in printed
    assert "file-8 " in printed
    assert "file-7 " not in printed


def test_the_zipped_size_is_the_zips(tree: Path, tmp_path: Path) -> None:
    (tree / "python/text.py").write_text("x = 1\n" * 1000)
    archive = tmp_path.parent / f"{tmp_path.name}.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(tree.rglob("*")):
            if path.is_file():
                packed.write(path, path.relative_to(tree))
    assert abs(zipped(tree) - archive.stat().st_size) <= 22 + 5 * 5  # the end record; what deflate cannot shrink


def test_small_sizes_are_readable() -> None:
    assert [megabytes(size) for size in (1_234, 262_144_000)] == ["0.001 MB", "262.1 MB"]
