"""The same application under uvicorn: HOST, PORT, MODEL_STORE and MODEL_DEFAULT from the environment.

`python -m handler bulk s3://in s3://out` starts and follows the stack's state machine instead (`handler/bulk.py`).
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import uvicorn

from handler import runtime
from handler.api import create_app
from handler.local import Guard, compressed
from handler.settings import Settings, SettingsError


def main() -> None:
    """Serve until interrupted; MODEL_PATH is packed to a temporary store first."""
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ)
        try:
            path = Settings.from_env(env).path
            if path is not None:
                env = _packed(path, Path(folder), env)
            started = runtime.start(env)
        except SettingsError as error:
            sys.exit(f"settings: {error}")
        key = started.settings.api_key
        app = create_app(
            started.registry,
            started.settings,
            started.observer,
            lambda routes: Guard(routes, key),
            started.recorder,
        )
        host, port = env.get("HOST") or "127.0.0.1", int(env.get("PORT") or 8000)
        print(f"http://{host}:{port} (documentation under /docs, Ctrl-C stops)", file=sys.stderr)
        uvicorn.run(compressed(app), host=host, port=port, log_level="warning", access_log=False)


def _packed(path: Path, folder: Path, env: dict[str, str]) -> dict[str, str]:
    """Pack one estimator file by the command line's own way, and return the environment that serves it alone."""
    name = "".join(c if c.isalnum() else "-" for c in path.stem)
    command = [sys.executable, "-m", "model", "pack", str(path), "--name", name, "--to", str(folder)]
    if subprocess.run(command, check=False).returncode:  # noqa: S603  -- our own interpreter and arguments
        sys.exit(1)
    return env | {"MODEL_STORE": folder.as_uri(), "MODEL_DEFAULT": name}


if __name__ == "__main__":
    if sys.argv[1:2] == ["bulk"]:
        from handler import bulk

        bulk.main(sys.argv[2:])
    else:
        main()
