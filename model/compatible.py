"""Whether a version can take the place of the live one without breaking callers or a deployment. Pure, build time.

A caller that works with the live version must go on working:
features   the same, in the same order (rows may be lists); a kind may widen (integer → number, category of texts →
           text), null may become allowed, a known category stays known (or any is taken), a unit stays
outputs    those of the live version are all there, of the same kind, unit, width, classes and labels; new ones may come
A deployment carries one engine, the one that the live version runs on, so the new one must run on it, too.
"""

from collections.abc import Iterator

from model.manifest import Feature, Manifest, Output

_WIDER = {("integer", "number"), ("category", "text")}


def breaks(live: Manifest, new: Manifest) -> tuple[str, ...]:
    """Return what would break, each as a sentence; empty when `new` can take the place of `live`."""
    return (*_task(live, new), *_features(live, new), *_outputs(live, new), *_engine(live, new))


def _task(live: Manifest, new: Manifest) -> Iterator[str]:
    if live.task != new.task:
        yield f"the task is {new.task}, it was {live.task}"


def _features(live: Manifest, new: Manifest) -> Iterator[str]:
    before, after = [f.name for f in live.features], [f.name for f in new.features]
    gone, come = [n for n in before if n not in after], [n for n in after if n not in before]
    if gone:
        yield f"features are gone: {', '.join(gone)}"
    if come:
        yield f"features are new, and callers do not send them: {', '.join(come)}"
    if not gone and not come and before != after:
        yield f"the order of the features is {', '.join(after)}; it was {', '.join(before)}"
    known = {feature.name: feature for feature in new.features}
    for feature in live.features:
        if feature.name in known:
            yield from _feature(feature, known[feature.name])


def _feature(live: Feature, new: Feature) -> Iterator[str]:
    if not _takes_kind(live, new):
        yield f"feature {live.name} is of kind {new.kind}, it was {live.kind}"
    elif new.kind == "category" and not new.open:
        lost = [str(value) for value in live.categories or () if value not in (new.categories or ())]
        if lost:
            yield f"feature {live.name} no longer takes {', '.join(lost)}"
        if live.open:
            yield f"feature {live.name} no longer takes unknown categories"
    if live.nullable and not new.nullable:
        yield f"feature {live.name} no longer takes null"
    if live.unit != new.unit:
        yield f"feature {live.name} is in {new.unit or 'no unit'}, it was in {live.unit or 'no unit'}"


def _takes_kind(live: Feature, new: Feature) -> bool:
    if live.kind == new.kind:
        return True
    texts = all(isinstance(value, str) for value in live.categories or ())
    return (live.kind, new.kind) in _WIDER and (live.kind != "category" or texts)


def _outputs(live: Manifest, new: Manifest) -> Iterator[str]:
    for output in live.outputs:
        other = new.output(output.name)
        if other is None:
            yield f"output {output.name} is gone"
        else:
            yield from _output(output, other)


def _output(live: Output, new: Output) -> Iterator[str]:
    for member in ("kind", "unit", "width", "classes", "labels"):
        before, after = getattr(live, member), getattr(new, member)
        if before != after:
            yield f"output {live.name} has {member} {after}, it had {before}"
    lost = [unit for unit, factor in live.conversions.items() if new.conversions.get(unit) != factor]
    if lost:
        yield f"output {live.name} is no longer converted in the same way to {', '.join(lost)}"


def _engine(live: Manifest, new: Manifest) -> Iterator[str]:
    if live.engine not in new.engines:
        yield f"it cannot run on {live.engine}, which the live version runs on (no compiled twin was proved)"
    elif live.engine == "joblib":
        if new.input == "frame" and live.input != "frame":
            yield "it takes data frames only, and the live version's deployment has no pandas"
        before, after = live.environment.get("scikit-learn"), new.environment.get("scikit-learn")
        if before != after:
            yield f"it is from scikit-learn {after}, the live version's deployment has {before}"
