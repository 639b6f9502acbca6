"""The same application under uvicorn: HOST, PORT, WORKERS, MODEL_STORE and MODEL_DEFAULT from the environment.

`python -m handler bulk s3://in s3://out` starts and follows the stack's state machine instead (`handler/bulk.py`).
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import uvicorn

from handler.settings import Settings, SettingsError

STOP_SECONDS = 20
"""For so long calls may go on after SIGTERM; Docker kills after 30 in our compose file, Kubernetes by default, too."""


def main() -> None:
    """Serve until interrupted; MODEL_PATH is packed to a temporary store first."""
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ)
        try:
            path = Settings.from_env(env).path
            if path is not None:
                env = _packed(path, Path(folder), env)
            serve(env, Path(folder))
        except SettingsError as error:
            sys.exit(f"settings: {error}")


def serve(env: dict[str, str], folder: Path) -> None:
    """Run uvicorn with WORKERS processes; `folder` is for what they share. Raises SettingsError."""
    host, port, workers = env.get("HOST") or "127.0.0.1", _number(env, "PORT", 8000), _number(env, "WORKERS", 1)
    settings: dict[str, Any] = {"host": host, "port": port, "log_level": "warning", "access_log": False}
    settings["timeout_graceful_shutdown"] = STOP_SECONDS
    os.environ.update({name: value for name, value in env.items() if name.startswith("MODEL_")})
    if workers > 1:
        (folder / "metrics").mkdir()
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder / "metrics")
    from handler import server  # noqa: PLC0415  -- prometheus_client reads that when it is imported

    print(f"http://{host}:{port} (documentation under /docs, Ctrl-C stops)", file=sys.stderr)
    if workers == 1:
        uvicorn.run(server.create(env), **settings)
    else:
        uvicorn.run("handler.server:create", factory=True, workers=workers, **settings)


def _number(env: dict[str, str], name: str, default: int) -> int:
    value = env.get(name) or str(default)
    if not value.isascii() or not value.isdigit() or not 0 < int(value) < 65536:
        raise SettingsError(f"{name}: expected a whole number above 0")
    return int(value)


def _packed(path: Path, folder: Path, env: dict[str, str]) -> dict[str, str]:
    """Pack one estimator file by the command line's own way, and return the environment that serves it alone."""
    name = "".join(c if c.isalnum() else "-" for c in path.stem)
    store = folder / "store"
    command = [sys.executable, "-m", "model", "pack", str(path), "--name", name, "--to", str(store)]
    if subprocess.run(command, check=False).returncode:  # noqa: S603  -- our own interpreter and arguments
        sys.exit(1)
    env = {key: value for key, value in env.items() if key != "MODEL_PATH"}
    os.environ.pop("MODEL_PATH", None)
    return env | {"MODEL_STORE": store.as_uri(), "MODEL_DEFAULT": name}


if __name__ == "__main__":
    if sys.argv[1:2] == ["bulk"]:
        from handler import bulk

        bulk.main(sys.argv[2:])
    else:
        main()
