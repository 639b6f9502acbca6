"""What one request may ask beyond its rows: only the most probable classes, or another decision threshold. Pure."""

from dataclasses import replace

from model.errors import Fault, InvalidRows
from model.manifest import Manifest
from model.rows import Request
from model.scorer import Prediction, Scorer


def score(scorer: Scorer, request: Request) -> Prediction:
    """Answer a request with its options; raises InvalidRows where the model cannot have them, and PredictionFailed."""
    if request.top_k is None and request.threshold is None:
        return scorer.score(request.rows, request.outputs)
    _check(scorer, request)
    wanted = request.outputs or scorer.default_outputs
    needed = wanted if request.threshold is None else tuple(dict.fromkeys((*wanted, "probabilities")))
    prediction = scorer.score(request.rows, needed)
    if request.threshold is not None:
        prediction = _decide(scorer, prediction, request.threshold)
    if "probabilities" not in wanted:
        return replace(prediction, probabilities=None)
    return prediction if request.top_k is None else _most_probable(prediction, request.top_k)


def _check(scorer: Scorer, request: Request) -> None:
    faults = []
    if request.top_k is not None and scorer.manifest.output("probabilities") is None:
        faults.append(Fault("/top_k", "this model gives no probabilities"))
    if request.threshold is not None and not is_binary(scorer.manifest):
        faults.append(Fault("/threshold", "only a model of two classes that gives probabilities takes one"))
    if faults:
        raise InvalidRows(tuple(faults))


def is_binary(manifest: Manifest) -> bool:
    """Tell whether a threshold decides: two classes, one target, probabilities."""
    output = manifest.output("prediction")
    return bool(output and len(output.classes or ()) == 2 and output.width == 1 and manifest.output("probabilities"))


def _decide(scorer: Scorer, prediction: Prediction, threshold: float) -> Prediction:
    """Predict the second class from this probability of it on; the estimator's own is a half, nearly always."""
    output = scorer.manifest.output("prediction")
    if prediction.values is None or output is None:
        return prediction
    classes, labels = output.classes or (), output.labels or ()
    chosen = [int(row[labels[1]] >= threshold) for row in prediction.probabilities or ()]
    return replace(prediction, values=[classes[i] for i in chosen], labels=[labels[i] for i in chosen])


def _most_probable(prediction: Prediction, count: int) -> Prediction:
    rows = [
        dict(sorted(row.items(), key=lambda item: -item[1])[:count])  # stable: of equals the first class
        for row in prediction.probabilities or ()
    ]
    return replace(prediction, probabilities=rows)
