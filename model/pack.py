"""A fitted estimator becomes an artifact: describe it, prove that it answers, record golden rows, write it down.

The manifest is written last: a folder without one is no version. Build time only.
"""

import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import pandas as pd

from model import describe, engine_joblib, engine_onnx, golden, histograms
from model import reference as training
from model.compile import compile_twin
from model.engine_joblib import JoblibEngine, frame
from model.errors import ArtifactMissing, PackingRefused, PredictionFailed
from model.estimator import force_one_job
from model.label_file import Mover
from model.manifest import FILE, FORMAT, Feature, Manifest, digest, dump, is_name
from model.outputs import outputs, task
from model.parity import Limits
from model.publish import publish
from model.rows import Row, RowSchema
from model.scorer import Scorer
from model.shelf import Shelf
from model.source import Source
from model.store import Store

EngineChoice = Literal["auto", "joblib", "onnx"]
SAMPLE_ROWS = 10_000
LIBRARIES = ("scikit-learn", "numpy", "scipy", "joblib")


@dataclass(frozen=True, slots=True)
class Card:
    """What the user knows and the estimator does not: names, units, metrics, where the data came from."""

    labels: Sequence[str] | None = None
    unit: str | None = None
    conversions: Mapping[str, float] = field(default_factory=dict)
    features: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)


def pack(
    source: Source,
    store: Store,
    name: str,
    version: str,
    *,
    sample: "pd.DataFrame | None" = None,
    card: Card | None = None,
    version_mismatch: str = "refuse",
    engine: EngineChoice = "auto",
    limits: Limits | None = None,
) -> Manifest:
    """Write `<name>/<version>` into the store (publish it, where that is remote) and return its manifest.

    Raises PackingRefused, and with a remote store what `publish` raises.

    `sample` holds rows of the training data, features only. Versions are immutable: an existing one is refused.
    `engine` "auto" compiles a twin and takes it when it is proved within `limits`, "onnx" refuses to pack without one,
    "joblib" does not try.
    """
    for word, text in (("name", name), ("version", version)):
        if not is_name(text):
            raise PackingRefused(f"{text!r} is no {word}: letters, digits, . _ and -, 64 at most, without ..")
    if _exists(store, name, version):
        raise PackingRefused(f"{name}/{version} exists, and versions are immutable: choose another")
    if source.written_by and version_mismatch != "warn":
        raise PackingRefused(
            f"the file was written by scikit-learn {source.written_by}, but {installed('scikit-learn')} is installed: "
            "fit it again, install that version, or accept it with --version-mismatch warn"
        )
    manifest, files = _build(source, name, version, sample, card or Card(), engine, limits or Limits())
    if store.remote:
        with tempfile.TemporaryDirectory() as folder:
            local = Store(Path(folder).as_uri())
            _write(local, manifest, files)
            publish(local, name, version, Shelf.of(store), Mover.now())
    else:
        _write(store, manifest, files)
    return manifest


def _write(store: Store, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    folder = f"{manifest.name}/{manifest.version}"
    for file, content in files.items():
        store.write(f"{folder}/{file}", content)
    store.write(f"{folder}/{FILE}", dump(manifest))


def _build(
    source: Source,
    name: str,
    version: str,
    sample: "pd.DataFrame | None",
    card: Card,
    choice: EngineChoice,
    limits: Limits,
) -> tuple[Manifest, dict[str, bytes]]:
    estimator = source.estimator()
    jobs = force_one_job(estimator)
    kind = task(estimator)
    found = describe.override(describe.features(estimator, sample), card.features)
    found = _really_nullable(estimator, found)
    rows = _answerable(estimator, RowSchema(found), golden.draw(found))
    data = _as_fitted(estimator, RowSchema(found), rows)
    answers = outputs(estimator, data, labels=card.labels, unit=card.unit, conversions=card.conversions)
    manifest = Manifest(
        format=FORMAT,
        name=name,
        version=version,
        task=kind,
        estimator=_described(estimator),
        engine="joblib",
        input="array",
        features=found,
        outputs=answers,
        digests={},
        environment=_environment(source),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        metrics=card.metrics,
        data=card.data,
        n_jobs=jobs,
    )
    scorer = _proved(source, estimator, manifest, rows, data)
    files = {engine_joblib.FILE: source.content, **source.code}
    files[golden.FILE] = msgspec.json.encode(golden.record(scorer, rows)) + b"\n"
    manifest = scorer.manifest
    sampled = _sample_rows(scorer.schema, sample)
    if reference := histograms.reference(scorer, sampled):
        files[training.FILE] = training.dump(reference)
    if choice != "joblib":
        manifest, twin = _compiled(source, scorer, sampled, choice, limits)
        files |= twin
    return replace(manifest, digests={file: digest(content) for file, content in files.items()}), files


def _compiled(
    source: Source, scorer: Scorer, rows: Sequence[Row], choice: EngineChoice, limits: Limits
) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest with the figures of the proof, and the twin where there is one."""
    estimator = source.estimator()
    force_one_job(estimator)
    twin = compile_twin(estimator, scorer.manifest, scorer.engine, rows, limits)
    manifest = replace(scorer.manifest, parity=twin.parity)
    if twin.content is not None:
        return replace(manifest, engine="onnx"), {engine_onnx.FILE: twin.content}
    if choice == "onnx":
        raise PackingRefused(f"no twin was proved: {'; '.join(twin.reasons)}")
    return replace(manifest, notes=tuple(f"not compiled, {reason}" for reason in twin.reasons)), {}


def _sample_rows(schema: RowSchema, sample: "pd.DataFrame | None") -> list[Row]:
    """Return the sample as rows that a request could hold; those with a category unknown to it are left out.

    Of more than SAMPLE_ROWS as many at random: the first ones of a sorted file are no picture of the rest.
    """
    if sample is None:
        return []
    if len(sample) > SAMPLE_ROWS:
        sample = sample.sample(SAMPLE_ROWS, random_state=0)
    found: list[Row] = []
    for values in sample[list(schema.names)].astype(object).itertuples(index=False):
        row = [None if pd.isna(value) else value.item() if hasattr(value, "item") else value for value in values]
        try:
            request = schema.request(schema.convert({"features": row}))
        except msgspec.ValidationError:
            continue
        if request is not None:
            found += request.rows
    return found


def _proved(source: Source, estimator: Any, manifest: Manifest, rows: Sequence[Row], data: Any) -> Scorer:
    """Return a scorer whose answers are the estimator's own on the golden rows: from arrays, else from data frames."""
    wanted = [output.name for output in manifest.outputs]
    methods = {"prediction": "predict", "probabilities": "predict_proba", "decision": "decision_function"}
    truth = {name: np.asarray(getattr(estimator, methods[name])(data)) for name in wanted}
    reason = "nothing was tried"
    tries: tuple[Literal["array", "frame"], ...] = ("array", "frame") if isinstance(data, pd.DataFrame) else ("array",)
    for form in tries:
        engine = JoblibEngine(source.estimator(), manifest.features, frame=form == "frame")
        scorer = Scorer(replace(manifest, input=form), engine)
        try:
            given = engine.predict(scorer.schema.matrix(rows), wanted)
            if all(_equal(truth[name], given[name]) for name in wanted):
                scorer.score(rows, wanted)
                return scorer
            reason = "the answers differ"
        except PredictionFailed as error:
            reason = str(error)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
    raise PackingRefused(f"the estimator does not give its own answers when served: {reason}")


def _equal(truth: Any, given: Any) -> bool:
    """Tell whether two arrays agree: classes exactly, numbers to the last bits (a data frame sums in another order)."""
    truth, given = np.ravel(truth), np.ravel(given)
    if truth.dtype.kind == "f" and given.dtype.kind == "f":
        return truth.shape == given.shape and bool(np.allclose(truth, given, rtol=1e-9, atol=1e-12))
    return bool(np.array_equal(truth, given))


def _as_fitted(estimator: Any, schema: RowSchema, rows: Sequence[Row]) -> Any:
    """Return the rows in the shape that the estimator was fitted on."""
    matrix = schema.matrix(rows)
    if hasattr(estimator, "feature_names_in_"):
        return frame(matrix, schema.features)
    return matrix[:, 0].tolist() if schema.features[0].kind == "text" and len(schema.features) == 1 else matrix


def _answerable(estimator: Any, schema: RowSchema, rows: list[Row]) -> list[Row]:
    """Return the rows that the estimator answers: some answer only near what they have seen."""
    try:
        estimator.predict(_as_fitted(estimator, schema, rows))
    except Exception as whole:
        kept = []
        for row in rows:
            try:
                estimator.predict(_as_fitted(estimator, schema, [row]))
            except Exception:  # noqa: S112  -- that it cannot is what is asked
                continue
            kept.append(row)
        if not kept:
            raise PackingRefused(
                f"the estimator raises {type(whole).__name__} on rows like those it was fitted on: {whole}; "
                "give it rows of the training data with --sample"
            ) from whole
        return kept
    return rows


def _really_nullable(estimator: Any, found: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """Keep `nullable` only where the estimator answers a row without that column: a sample may promise too much."""
    kept = []
    schema = RowSchema(found)
    example = tuple(feature.example for feature in found)
    for i, feature in enumerate(found):
        nullable = feature.nullable
        if nullable:
            row = (*example[:i], None, *example[i + 1 :])
            try:
                estimator.predict(_as_fitted(estimator, schema, [row]))
            except Exception:
                nullable = False
        kept.append(replace(feature, nullable=nullable))
    return tuple(kept)


def _described(estimator: Any) -> str:
    """Return the classes of the estimator in words: "SimpleImputer → LinearRegression"."""
    if hasattr(estimator, "steps"):
        return " → ".join(_described(step) for _, step in estimator.steps)
    return type(estimator).__name__


def _environment(source: Source) -> dict[str, str]:
    versions = {name: installed(name) for name in LIBRARIES}
    if source.written_by:
        versions["scikit-learn"] = source.written_by
    return {"python": platform.python_version(), **versions}


def _exists(store: Store, name: str, version: str) -> bool:
    try:
        store.read(f"{name}/{version}/{FILE}")
    except ArtifactMissing:
        return False
    return True
