"""What a layer holds, derived: direct dependencies from pyproject.toml, versions and hashes from the lock.

The packages that these need in turn are read from the environment that was installed from the same lock. pip has the
last word: it installs with hashes required, and refuses a package that the derived list lacks.
"""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from infra.target import ARCHITECTURES, PYTHON


def locked(lock: Path) -> dict[str, str]:
    """Package → its own lines of the lock, version, marker and hashes."""
    lines = [line for line in lock.read_text().splitlines() if not line.lstrip().startswith("#")]
    blocks = re.split(r"\n(?=\w)", "\n".join(lines))
    return {canonicalize_name(block.partition("==")[0].strip()): block for block in blocks if "==" in block}


def direct(pyproject: Path, groups: tuple[str, ...]) -> list[Requirement]:
    """The requirements that the dependency groups name, groups that they include among them."""
    table = tomllib.loads(pyproject.read_text())["dependency-groups"]
    found: list[Requirement] = []
    for group in groups:
        for entry in table[group]:
            included = isinstance(entry, dict)
            found += direct(pyproject, (entry["include-group"],)) if included else [Requirement(entry)]
    return found


def _needs(name: str, extras: frozenset[str], arch: str) -> list[Requirement]:
    """What a package asks for on the target. Unknown here: nothing, and pip will say what is missing."""
    version = ".".join(map(str, PYTHON))
    target = {
        "implementation_name": "cpython", "os_name": "posix", "platform_machine": ARCHITECTURES[arch],
        "platform_python_implementation": "CPython", "platform_system": "Linux", "sys_platform": "linux",
        "python_version": version, "python_full_version": f"{version}.0", "implementation_version": f"{version}.0",
    }  # fmt: skip
    try:
        asked = [Requirement(text) for text in requires(name) or []]
    except PackageNotFoundError:
        return []
    contexts = [{**target, "extra": extra} for extra in ("", *extras)]
    return [need for need in asked if not need.marker or any(map(need.marker.evaluate, contexts))]


def closure(roots: list[Requirement], arch: str) -> set[str]:
    """The names of `roots` and of all that they need on the target."""
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = list(roots)
    while todo:
        requirement = todo.pop()
        package = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if package not in seen:
            seen.add(package)
            todo += _needs(*package, arch)
    return {name for name, _ in seen}


def derive(groups: tuple[str, ...], arch: str, root: Path) -> str:
    """The part of `root`/requirements.txt that a layer with these groups holds: a hashed requirements file."""
    lock = locked(root / "requirements.txt")
    names = closure(direct(root / "pyproject.toml", groups), arch)
    if missing := sorted(names - lock.keys()):
        raise SystemExit(f"requirements.txt does not lock {', '.join(missing)}: run `make lock`")
    return "".join(f"{lock[name]}\n" for name in sorted(names))
