"""What `sam build` left: the functions of its template with their code, layers and settings.

`python -m infra.built DIR` closes the size gate over what Lambda would unzip for each function.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from infra.sizes import gate


@dataclass(frozen=True)
class Function:
    """One function as built: folders on this machine, settings with the template's parameters filled in."""

    name: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    environment: Mapping[str, str]
    memory: int
    """MB"""


def functions(build: Path, parameters: Mapping[str, str] | None = None) -> dict[str, Function]:
    """The functions in the folder that `sam build` wrote, by logical id. Raises FileNotFoundError if it wrote none."""
    build = build.resolve()
    template = yaml_parse((build / "template.yaml").read_text())
    values = {name: entry.get("Default") for name, entry in template["Parameters"].items()}
    values |= {"AWS::StackName": "local", **(parameters or {})}
    resources = template["Resources"]
    common = template["Globals"]["Function"]

    def value(entry: Any) -> Any:
        return values[entry["Ref"]] if isinstance(entry, dict) else entry

    def function(name: str, own: dict[str, Any]) -> Function:
        settings = {**common, **own}
        variables = {**common["Environment"]["Variables"], **own.get("Environment", {}).get("Variables", {})}
        return Function(
            name=name,
            handler=settings["Handler"],
            code=build / settings["CodeUri"],
            layers=tuple(build / resources[layer["Ref"]]["Properties"]["ContentUri"] for layer in settings["Layers"]),
            environment={key: str(value(entry)) for key, entry in variables.items()},
            memory=int(value(settings["MemorySize"])),
        )

    found = {name: r["Properties"] for name, r in resources.items() if r["Type"] == "AWS::Serverless::Function"}
    return {name: function(name, own) for name, own in found.items()}


def main() -> None:
    """Exit with a table if any function is too large."""
    for function in functions(Path(sys.argv[1])).values():
        gate(function.name, [function.code, *function.layers])


if __name__ == "__main__":
    main()
