"""What `sam build` left: the functions of its template with their code, layers and settings.

`python -m infra.built DIR` closes the size gates over what Lambda would unzip for each function.
"""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from infra.bulk_layer import CEILING
from infra.flavour import FLAVOURS, FlavourName
from infra.sizes import gate, parts_of
from infra.target import LIMIT


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

    @property
    def flavour(self) -> FlavourName:
        """What its layers carry. Raises ValueError if that is no flavour."""
        marks = frozenset[str]().union(*(flavour.marks for flavour in FLAVOURS.values()))
        there = {mark for mark in marks if any((layer / "python" / mark).is_dir() for layer in self.layers)}
        (found,) = [name for name, flavour in FLAVOURS.items() if flavour.marks == there]
        return found


def functions(build: Path, parameters: Mapping[str, str] | None = None) -> dict[str, Function]:
    """The functions in the folder that `sam build` wrote, by logical id. Raises FileNotFoundError if it wrote none."""
    build = build.resolve()
    template = yaml_parse((build / "template.yaml").read_text())
    values = {name: entry.get("Default") for name, entry in template["Parameters"].items()}
    values |= {"AWS::StackName": "local", **(parameters or {})}
    resources = template["Resources"]
    common = template["Globals"]["Function"]

    def value(entry: Any) -> Any:
        if isinstance(entry, dict) and "Fn::If" in entry:
            return ""  # a place that only a deployed stack has
        if isinstance(entry, dict) and "Fn::Sub" in entry:  # a resource by its logical id, as `sam local` has it
            return re.sub(r"\$\{(.+?)\}", lambda found: str(values.get(found[1], found[1])), entry["Fn::Sub"])
        return values[entry["Ref"]] if isinstance(entry, dict) else entry

    def function(name: str, own: dict[str, Any]) -> Function:
        settings = {**common, **own}
        variables = {**common["Environment"]["Variables"], **own.get("Environment", {}).get("Variables", {})}
        layers = [*common["Layers"], *own.get("Layers", [])]  # SAM adds a function's own to those of all
        return Function(
            name=name,
            handler=settings["Handler"],
            code=build / settings["CodeUri"],
            layers=tuple(build / resources[layer["Ref"]]["Properties"]["ContentUri"] for layer in layers),
            environment={key: str(value(entry)) for key, entry in variables.items()},
            memory=int(value(settings["MemorySize"])),
        )

    found = {name: r["Properties"] for name, r in resources.items() if r["Type"] == "AWS::Serverless::Function"}
    return {name: function(name, own) for name, own in found.items()}


def main() -> None:
    """Exit with a table if any function is too large."""
    for function in functions(Path(sys.argv[1])).values():
        own = parts_of(function.code, *(layer for layer in function.layers if (layer / "python").is_dir()))
        bulk = any((layer / "python" / "arro3").is_dir() for layer in function.layers)
        ceiling = FLAVOURS[function.flavour].ceiling + (CEILING if bulk else 0)
        gate(f"{function.name}, code and dependencies", own, ceiling, "its flavour's")
        gate(f"{function.name} with models", parts_of(function.code, *function.layers), LIMIT)


if __name__ == "__main__":
    main()
