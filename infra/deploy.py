"""Deploy or delete a stack of samconfig.toml, and say first what will happen: `python -m infra.deploy deploy dev`.

SAM drops the file's parameters as soon as one is named on its command line, so they are put together here.
"""

import argparse
import os
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).parent.parent
BUILT = Path(".aws-sam/build")


def stacks(text: str) -> dict[str, dict[str, Any]]:
    """The `sam deploy` parameters in a samconfig.toml, by environment."""
    found = {
        name: entry.get("deploy", {}).get("parameters", {})
        for name, entry in tomllib.loads(text).items()
        if name != "version"
    }
    return {name: parameters for name, parameters in found.items() if "stack_name" in parameters}


def overrides(stack: Mapping[str, Any], more: Sequence[str], known: Mapping[str, Any]) -> dict[str, str]:
    """The stack's parameters, and those given over them. Exits with one that the template does not know."""
    merged = {}
    for pair in [*stack.get("parameter_overrides", []), *more]:
        name, equals, value = pair.partition("=")
        if not equals or name not in known:
            raise SystemExit(f"{pair}: expected NAME=VALUE, NAME one of {', '.join(known)}")
        merged[name] = value
    return merged


def explain(stack: Mapping[str, Any], parameters: Mapping[str, str], *, ask: bool = True) -> str:
    """What a deployment will do, in words."""
    kind = parameters.get("DeploymentType", "AllAtOnce")
    moved = "the alias moves at once" if kind == "AllAtOnce" else f"the alias moves by {kind}; an alarm takes it back"
    given = " ".join(f"{name}={value}" for name, value in parameters.items())
    said = "shows the changes; nothing happens before you say yes" if ask else "makes the changes; nobody is asked"
    lines = [
        f"Stack {stack['stack_name']} from {BUILT}, by CloudFormation, with {given}.",
        f"  1. SAM uploads code and layers to its bucket and {said}.",
        "  2. What changed is published as a new version of each function. The alias live still points to the old one.",
        "  3. DeployHookFunction asks the new version the golden rows of every model. A wrong answer ends it here.",
        f"  4. Then {moved}. What fails is rolled back by CloudFormation, functions, models and settings together.",
        "The first deployment of a stack makes the alias, so that 3 and 4 begin with the second.",
    ]
    return "\n".join(lines)


def deploy(name: str, parameters: Mapping[str, str], *, ask: bool) -> int:
    """Run `sam deploy`, and return its exit status."""
    command = ["sam", "deploy", "--config-env", name, *([] if ask else ["--no-confirm-changeset"])]
    if role := os.environ.get("CLOUDFORMATION_ROLE_ARN"):  # a pipeline's own role may not make resources by itself
        command += ["--role-arn", role]
    return _run([*command, "--parameter-overrides", *(f"{key}={value}" for key, value in parameters.items())])


def kept(template: Mapping[str, Any]) -> list[str]:
    """The resources that stay when the stack is deleted, because they hold data."""
    return sorted(name for name, entry in template["Resources"].items() if entry.get("DeletionPolicy") == "Retain")


def destroy(stack: Mapping[str, Any], template: Mapping[str, Any]) -> int:
    """Run `sam delete` if its name is typed again, and return its exit status."""
    name = stack["stack_name"]
    print(f"This deletes the stack {name}: API, functions, versions, queues with their messages, logs, alarms.")
    print(
        f"Where the stack has them, these buckets stay with their data, yours to delete: {', '.join(kept(template))}."
    )
    print("The bucket of the models, if they are on S3, is not part of the stack and stays, too.")
    try:
        typed = input(f"Type {name} to go on: ").strip()
    except EOFError:  # no terminal: nobody can have meant it
        typed = ""
        print()
    if typed != name:
        print("Nothing was deleted.")
        return 1
    return _run(["sam", "delete", "--stack-name", name, "--no-prompts"])


def _run(command: list[str]) -> int:
    return subprocess.run(
        [str(Path(sys.executable).parent / command[0]), *command[1:]], cwd=ROOT, check=False
    ).returncode


def main() -> None:
    """Deploy or delete, by the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("action", choices=["deploy", "destroy"])
    parser.add_argument("environment", help="one of samconfig.toml")
    parser.add_argument("parameters", nargs="*", metavar="NAME=VALUE")
    parser.add_argument("--yes", action="store_true", help="in a pipeline: do not ask before the changes are made")
    options = parser.parse_args()
    found = stacks((ROOT / "samconfig.toml").read_text())
    if options.environment not in found:
        raise SystemExit(f"ENV is one of {', '.join(found)}, not {options.environment}")
    stack = found[options.environment]
    template = yaml_parse((ROOT / "template.yaml").read_text())
    if options.action == "destroy":
        sys.exit(destroy(stack, template))
    parameters = overrides(stack, options.parameters, template["Parameters"])
    print(explain(stack, parameters, ask=not options.yes), flush=True)
    sys.exit(deploy(options.environment, parameters, ask=not options.yes))


if __name__ == "__main__":
    main()
