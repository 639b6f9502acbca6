"""The commands that change a store, as a user types them: from a key to a rollback, in a folder and on S3."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from model.shelf import Shelf
from tests.conftest import next_version
from tests.test_command_line import run

# What a shell has and these processes need to reach moto's server.
AWS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL")


def env(shelf: Shelf) -> dict[str, Any]:
    return {name: os.environ[name] for name in AWS if name in os.environ} | {"MODEL_STORE": shelf.url}


def test_from_a_key_to_a_rollback(store: Path, shelf: Shelf, tmp_path: Path) -> None:
    aws = env(shelf)
    public = run("keygen", tmp_path / "key", out=True).strip()
    assert public == (tmp_path / "key.pub").read_text().strip()
    told = json.loads(run("publish", store / "iris/1.0.0", shelf.url, "--sign", tmp_path / "key", "--json", **aws))
    assert (told["new"], told["signed_by"]) == (True, public)
    assert "is there already, with the same bytes" in run("publish", store / "iris/1.0.0", shelf.url, **aws)
    next_version(store, "iris", "1.1.0")
    assert "published" in run(
        "publish", store / "iris/1.1.0", shelf.url, "--sign", tmp_path / "key", "--by", "ci", **aws
    )
    canary = ("promote", "iris", "1.1.0", "--label", "canary", "--weight", "0.1", "--public-key", public)
    assert "canary of iris is on 1.1.0" in run(*canary, **aws)
    listed = json.loads(run("list", shelf.url, "--json", **aws))
    assert [(e["version"], e["live"], e["labels"]) for e in listed] == [
        ("1.0.0", True, ["live"]),
        ("1.1.0", False, ["canary"]),
    ]
    assert listed[0]["size"] > 10_000
    assert listed[0]["manifest"]["engine"] == "onnx"
    assert {"live", "canary", "kB", "onnx"} <= set(run("list", shelf.url, **aws).replace(",", " ").split())
    shown = json.loads(run("inspect", f"{shelf.url}/iris/1.1.0", "--json", **aws))
    assert (shown["labels"], shown["signed_by"], shown["published_by"]) == (["canary"], [public], "ci")
    assert "signed" in run("inspect", f"{shelf.url}/iris/1.1.0", **aws)
    moved = json.loads(run("promote", "iris", "1.1.0", "--public-key", public, "--by", "bob", "--json", **aws))
    assert (moved["from"], moved["to"], moved["engines"]) == ("1.0.0", "1.1.0", ["onnx", "joblib"])
    assert moved["labels"]["canary"] is None
    back = run("rollback", "iris", "--store", shelf.url, **{name: aws[name] for name in AWS if name in aws})
    assert "live of iris is on 1.0.0, was on 1.1.0" in back


def test_pruning_asks_and_an_error_is_a_sentence(store: Path, tmp_path: Path) -> None:
    for version in ("2", "3", "4"):
        next_version(store, "iris", version)
    place: dict[str, Any] = {"MODEL_STORE": store.as_uri()}
    run("promote", "iris", "4", "--by", "ann", **place)
    asked = run("prune", "iris", "--keep", "1", "--grace", "0", status=1, **place)  # nobody answers: aborted
    assert "iris/2" in asked
    assert (store / "iris/2/manifest.json").exists()
    assert "nothing was deleted" in run("prune", "--keep", "1", "--yes", **place)
    assert json.loads(run("prune", "--keep", "1", "--grace", "0", "--yes", "--json", **place))["freed"] > 0
    assert not (store / "iris/2").exists()
    assert (store / "iris/4/manifest.json").exists()
    for arguments, message in (
        (("promote", "iris", "2"), "iris/2 was pruned by"),
        (("promote", "iris", "4", "--label", "best"), "there is no label 'best'"),
        (("promote", "iris", "4", "--label", "canary"), "a canary needs --weight"),
        (("rollback", "babies"), "babies has no previous version"),
        (("prune", "pears"), "no model is called 'pears'"),
        (("publish", "iris/4", "https://bucket/prefix"), "expected a folder, file:///folder or s3://bucket/prefix"),
        (("publish", "iris/4", tmp_path / "to", "--sign", tmp_path / "no-key"), "cannot be read as a key"),
    ):
        error = run(*arguments, status=1, **place)
        assert message in error.replace("\n", " ")
        assert "Traceback" not in error


def test_a_bucket_that_is_not_there_is_said(store: Path, s3: object, s3_endpoint: str) -> None:
    aws: dict[str, Any] = {name: os.environ[name] for name in AWS if name in os.environ}
    aws["AWS_ENDPOINT_URL"] = s3_endpoint
    for arguments in (("publish", store / "iris/1.0.0", "s3://no-such-bucket/prefix"), ("list", "s3://no-such-bucket")):
        assert "there is no such bucket" in run(*arguments, status=1, **aws).replace("\n", " ")


def test_a_pin_lets_a_known_pickle_be_asked(store: Path, s3: object, s3_endpoint: str) -> None:
    shelf = Shelf("s3://models/pinned", s3_endpoint)
    next_version(store, "iris", "2", engine="joblib")
    aws = env(shelf)
    told = json.loads(run("publish", store / "iris/2", shelf.url, "--json", **aws))
    assert "ArtifactUntrusted" in run("promote", "iris", "2", status=1, **aws)
    assert "is pinned to" in run("promote", "iris", "2", "--pin", "sha256:" + "0" * 64, status=1, **aws)
    moved = json.loads(run("promote", "iris", "2", "--pin", told["manifest_digest"], "--json", **aws))
    assert moved["engines"] == ["joblib"]


def test_packing_warns_before_it_reads_a_pickle(tmp_path: Path) -> None:
    import pickle  # noqa: PLC0415

    from tests.test_artifact import Mark  # noqa: PLC0415

    (tmp_path / "foreign.pkl").write_bytes(pickle.dumps(Mark(tmp_path / "mark")))
    said = run("pack", tmp_path / "foreign.pkl", "--to", tmp_path / "store", status=1)
    assert said.index("foreign.pkl is a pickle: reading it runs the code in it") < said.index("PackingRefused")


@pytest.mark.parametrize("command", ["keygen", "publish", "promote", "rollback", "prune"])
def test_every_command_helps_itself(command: str) -> None:
    assert "Usage" in run(command, "--help")
