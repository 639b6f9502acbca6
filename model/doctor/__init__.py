"""What will hurt, found before it does: in an artifact, in a template, in the tree that `sam build` left.

Nothing is unpickled, imported or sent anywhere. Build time only.
"""

from collections.abc import Mapping
from pathlib import Path

from model.doctor import artifact, template, tree
from model.doctor.finding import Finding
from model.store import Store


def examine_folder(path: Path, versions: Mapping[str, str]) -> list[Finding] | None:
    """The findings of a template, a built tree, or a project with whatever of both and of artifacts/ it has.

    None if `path` is none of these, such as an artifact. `versions` are those of the packages that a build installs.
    """
    if path.is_file():
        return template.examine(path)
    if not (file := path / template.FILE).is_file():
        return None
    if tree.is_built(path):
        return tree.examine(path)
    found = template.examine(file)
    if (built := path / ".aws-sam" / "build").is_dir():
        found += tree.examine(built)
    packed = path / "artifacts"
    for manifest in sorted(packed.glob("*/*/manifest.json")):
        name, version = manifest.parts[-3:-1]
        found += artifact.examine(Store(packed.absolute().as_uri()), name, version, versions)
    return list(dict.fromkeys(found))
