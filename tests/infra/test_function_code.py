"""What goes into the functions' zip."""

from pathlib import Path

import pytest

from infra import function_code
from tests.infra.stack import ROOT


def make(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = make(tmp_path / "project", "handler/on_http.py", "handler/__main__.py", "model/scorer.py", "model/pack.py")
    make(root, "model/examples/iris.py", "model/__pycache__/old.cpython-311.pyc", "tests/test_it.py")
    make(root, "infra/build-time-only.txt")
    (root / "infra/build-time-only.txt").write_text("# why\nmodel/pack.py\nmodel/examples\n\nhandler/__main__.py\n")
    return root


def test_both_packages_go_without_what_only_the_build_uses(project: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    function_code.lay_out(project, output)
    assert {str(path.relative_to(output)) for path in output.rglob("*.py")} == {"handler/on_http.py", "model/scorer.py"}
    compiled = [path.name for path in output.rglob("*.pyc")]
    assert sorted(name.partition(".")[0] for name in compiled) == ["on_http", "scorer"]


def test_a_name_in_the_list_that_is_gone_stops_the_build(project: Path, tmp_path: Path) -> None:
    (project / "model/pack.py").rename(project / "model/packing.py")
    with pytest.raises(SystemExit, match=r"names what is not there: model/pack\.py"):
        function_code.lay_out(project, tmp_path / "out")


def test_the_list_of_this_project_holds() -> None:
    assert ROOT / "model" / "pack.py" in function_code.build_time_only(ROOT)


def test_the_page_goes_with_the_code(tmp_path: Path) -> None:
    function_code.lay_out(ROOT, tmp_path)
    served = [path.name for path in (ROOT / "handler/page").iterdir() if path.suffix in {".html", ".css", ".js"}]
    assert "index.html" in served
    assert set(served) <= {path.name for path in (tmp_path / "handler/page").iterdir()}
