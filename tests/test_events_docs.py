"""docs/events.md and the README's Events section say what is so: names, parameters, defaults, outcomes."""

import re

from handler import batch, exchange, jobs, replies
from handler.settings import VARIABLES
from model import errors
from tests.conftest import ROOT
from tests.infra.stack import packaged

TEXT = (ROOT / "docs" / "events.md").read_text()
SECTION = (ROOT / "README.md").read_text().split("## Events\n")[1].split("\n## ")[0]


def test_the_parameters_and_their_defaults_are_the_templates() -> None:
    parameters = packaged()["Parameters"]
    rows = re.findall(r"^\| `([A-Z]\w+)` \| (?:`(\w+)`)? ?\|", TEXT, re.MULTILINE)
    assert {name for name, _ in rows} == {"QueueTrigger", "QueueConcurrency", "BusTrigger", "AlarmTopic"}
    for name, default in rows:
        assert str(parameters[name]["Default"]) == default
    for name, value in re.findall(r"(\w+Trigger)=(\w+)", SECTION):
        assert value in parameters[name]["AllowedValues"]


def test_the_settings_and_errors_named_are_there() -> None:
    assert set(re.findall(r"MODEL_[A-Z_]+", TEXT)) <= set(VARIABLES)
    (row,) = re.findall(r"^\| refused \|(.*?)\|", TEXT, re.MULTILINE)
    named = set(re.findall(r"`([A-Z]\w+)`", row))
    permanent = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.ModelError) and not kind.__subclasses__()
        if not issubclass(kind, errors.ArtifactError) and not issubclass(kind, errors.BulkError)
        if name not in {"PackingRefused", "PublishingRefused", "LabelsMoved"}
    }
    assert named == permanent
    assert all(batch.is_permanent(getattr(errors, name)(())) for name in named)


def test_the_figures_are_the_codes() -> None:
    assert f"{exchange.RESERVE_SECONDS:.0f} s before the end" in TEXT
    assert f"up to {replies.ENTRIES} entries" in TEXT
    for kind in (jobs.REQUESTED, replies.MADE, replies.REFUSED):
        assert f'"{kind}"' in TEXT
        assert f'"{kind}"' in SECTION


def test_the_template_is_as_described() -> None:
    resources = packaged()["Resources"]
    assert "hidden for 360 s" in TEXT
    assert resources["RequestQueue"]["Properties"]["VisibilityTimeout"] == 360
    assert "after five times" in TEXT
    assert resources["RequestQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] == 5
    assert "Lambda tries twice more within an hour" in TEXT
    retries = resources["BusRetries"]["Properties"]
    assert (retries["MaximumRetryAttempts"], retries["MaximumEventAgeInSeconds"]) == (2, 3600)
