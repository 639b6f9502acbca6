"""Three species of iris from four measurements: scikit-learn's copy of Fisher's data, a forest of 100 trees."""

from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split

from model.manifest import digest
from model.pack import Card
from model.train import Trained

FEATURES = ("sepal_length", "sepal_width", "petal_length", "petal_width")
SEED = 42


def train() -> Trained:
    """Fit on four fifths of the 150 flowers; the metrics are of the held-out fifth."""
    data = load_iris(as_frame=True)
    flowers = data.frame.iloc[:, :4].set_axis(list(FEATURES), axis=1)
    rest, held_out, known, truth = train_test_split(
        flowers, data.target, test_size=0.2, random_state=SEED, stratify=data.target
    )
    estimator = RandomForestClassifier(n_estimators=100, random_state=SEED).fit(rest, known)
    card = Card(
        labels=data.target_names.tolist(),
        features={name: {"unit": "cm", "description": name.replace("_", " ")} for name in FEATURES},
        metrics={
            "held_out": {
                "rows": len(truth),
                "accuracy": round(float(accuracy_score(truth, estimator.predict(held_out))), 4),
                "log_loss": round(float(log_loss(truth, estimator.predict_proba(held_out))), 4),
            }
        },
        data={
            "source": "sklearn.datasets.load_iris",
            "rows": len(flowers),
            "training_rows": len(rest),
            "digest": digest(data.frame.to_csv(index=False).encode()),
        },
    )
    return Trained(estimator, rest, card)
