"""A fitted estimator made fit to serve: one job, no names that need a data frame, versions that match.

scikit-learn is imported by whoever unpickles; this module only walks the objects.
"""

from collections.abc import Iterator
from typing import Any


def nested(root: Any) -> Iterator[Any]:
    """Yield `root` and every estimator inside it: parameters, fitted attributes, lists and arrays of them."""
    seen: set[int] = set()
    stack = [root]
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, list | tuple | set):
            stack.extend(item)
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif hasattr(item, "get_params"):
            yield item
            stack.extend(vars(item).values())
        elif getattr(getattr(item, "dtype", None), "hasobject", False):
            stack.extend(item.ravel().tolist())


def force_one_job(estimator: Any) -> dict[str, int]:
    """Set every n_jobs in the estimator to 1, and return by class what else it was.

    Threads for one row cost more than the row: a forest of 100 takes 12 ms with n_jobs=-1 and 3 ms with 1.
    """
    found = {}
    for part in nested(estimator):
        if getattr(part, "n_jobs", None) not in (None, 1):
            found[type(part).__name__] = int(part.n_jobs)
            part.n_jobs = 1
    return found


def by_position(estimator: Any) -> None:
    """Rewrite an estimator fitted on a data frame so that it takes an array in training order, in place.

    Column transformers keep positions beside the names they were given (`_transformer_to_input_indices`); the names
    themselves, left in place, would only make every prediction warn that the array has none.
    """
    for part in nested(estimator):
        indices = getattr(part, "_transformer_to_input_indices", None)
        if indices is not None and hasattr(part, "transformers_"):
            part.transformers_ = [
                (name, transformer, _positions(columns, indices.get(name)))
                for name, transformer, columns in part.transformers_
            ]
        vars(part).pop("feature_names_in_", None)


def _positions(columns: Any, indices: list[int] | None) -> Any:
    """Return integer positions, a single one where a single column was chosen: vectorisers want one dimension."""
    if indices is None:
        return columns
    return indices[0] if isinstance(columns, str | int) and len(indices) == 1 else indices


def final(estimator: Any) -> Any:
    """Return what answers in the end: the last step of pipelines."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return estimator


def answers_by_probability(estimator: Any) -> bool:
    """Tell whether predict is by definition the class of the largest probability, so that one pass gives both.

    So for forests (sklearn.ensemble.ForestClassifier.predict); not for SVC, whose probabilities are fitted apart.
    """
    last = final(estimator)
    return any(cls.__name__ == "ForestClassifier" for cls in type(last).__mro__) and getattr(last, "n_outputs_", 1) == 1
