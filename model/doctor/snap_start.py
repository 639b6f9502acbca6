"""SnapStart, and what Lambda refuses beside it. SAM and cfn-lint let it pass."""

from collections.abc import Iterator, Mapping
from typing import Any

from model.doctor.finding import Finding, Severity

When = tuple[str, bool] | bool
"""The condition (or parameter) and its value under which something is there; or always, or never."""

_NOTHING = (None, "None", {"Ref": "AWS::NoValue"})
_TMP = 512
"""MB of /tmp that a snapshot takes at most, and that a function has by default."""


def examine(resources: Mapping[str, Any], name: str, function: Mapping[str, Any]) -> Iterator[Finding]:
    """The findings of one function; its versions and aliases are among `resources` in a translated template."""
    snap = when(function.get("SnapStart"), "ApplyOn")
    own = [r for r in resources.values() if (r.get("Properties") or {}).get("FunctionName") == {"Ref": name}]
    concurrency = [when(p.get("ProvisionedConcurrencyConfig")) for p in (function, *(r["Properties"] for r in own))]
    storage = (function.get("EphemeralStorage") or {}).get("Size", _TMP)
    excluded: dict[str, When] = {
        "provisioned concurrency": max(concurrency, key=bool),
        "a file system": when(function.get("FileSystemConfigs")),
        f"more than {_TMP} MB of /tmp": isinstance(storage, int) and storage > _TMP,
    }
    for other, there in excluded.items():
        if met := together(snap, there):
            severity, circumstances = met
            what = f"SnapStart together with {other}{circumstances}, which Lambda refuses at deployment"
            yield Finding(severity, "snap-start", name, what, f"Do without SnapStart or without {other}.")
    if snap and not function.get("AutoPublishAlias") and not any(r["Type"] == "AWS::Lambda::Version" for r in own):
        what = "SnapStart works on published versions only, and nothing publishes one"
        yield Finding("warning", "snap-start", name, what, "Add AutoPublishAlias, and call the alias.")


def when(node: Any, key: str = "") -> When:
    """When `node` is there. With `key` it is a mapping and counts by that entry; a parameter may set it to "None"."""
    if key and isinstance(node, dict) and key in node:
        node = node[key]
        if isinstance(node, dict) and set(node) == {"Ref"}:
            return (node["Ref"], True)
    if node in _NOTHING:
        return False
    if not isinstance(node, dict) or set(node) != {"Fn::If"}:
        return True
    condition, *branches = node["Fn::If"]
    yes, no = (when(branch, key) is not False for branch in branches)
    return yes if yes == no else (condition, yes)


def together(one: When, other: When) -> tuple[Severity, str] | None:
    """How bad it is that two things exclude each other, and when they meet; None if they never do."""
    if one is False or other is False:
        return None
    conditions = [met for met in dict.fromkeys((one, other)) if isinstance(met, tuple)]
    if len({name for name, _ in conditions}) < len(conditions):
        return None  # the same condition, once true and once false
    said = " and ".join(f"{name} {'is set' if value else 'is not set'}" for name, value in conditions)
    return ("warning" if len(conditions) > 1 else "error", f" when {said}" if said else "")
