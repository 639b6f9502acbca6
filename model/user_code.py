"""Modules of the user's that an estimator needs (custom transformers), imported from verified bytes, never from a path.

They travel in the artifact under code/ with a digest each. What was verified is what is executed: the import system is
given the bytes themselves, so nothing can change between the check and the import.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType

PREFIX = "code/"


class _Loader(InspectLoader):
    def __init__(self, sources: Mapping[str, tuple[str, bytes]]) -> None:
        self._sources = sources

    def get_source(self, fullname: str) -> str:
        return self._sources[fullname][1].decode()

    def get_filename(self, fullname: str) -> str:
        return self._sources[fullname][0]

    def is_package(self, fullname: str) -> bool:
        return self.get_filename(fullname).endswith("/__init__.py")


class _Finder(MetaPathFinder):
    def __init__(self, sources: Mapping[str, tuple[str, bytes]]) -> None:
        self._sources = sources
        self._loader = _Loader(sources)
        self.tops = {name.partition(".")[0] for name in sources}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002  -- the import system's signature
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname not in self._sources:
            return None
        return spec_from_loader(fullname, self._loader, origin=self._sources[fullname][0])


def modules(files: Mapping[str, bytes]) -> dict[str, tuple[str, bytes]]:
    """Return dotted name → (file, source) of the Python files under code/ in `files`."""
    found = {}
    for file, content in files.items():
        if file.startswith(PREFIX) and file.endswith(".py"):
            name = file[len(PREFIX) : -len(".py")].replace("/", ".").removesuffix(".__init__")
            found[name] = (file, content)
    return found


def install(files: Mapping[str, bytes]) -> None:
    """Make the modules under code/ importable in this process, in front of everything else.

    Two artifacts may bring different modules of one name (two versions of a model): each unpickles against its own,
    and its objects keep them; only an import that a function does later, while it predicts, sees the newest.
    """
    sources = modules(files)
    if not sources:
        return
    finder = _Finder(sources)
    for name in [name for name in sys.modules if name.partition(".")[0] in finder.tops]:
        del sys.modules[name]
    sys.meta_path[:] = [finder, *(f for f in sys.meta_path if not (isinstance(f, _Finder) and f.tops & finder.tops))]
