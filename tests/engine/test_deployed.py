"""What serves, and which of its features should not."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from jukebox import record_deployment, record_model
from jukebox.engine.deployed import deployed
from jukebox.stores import open_lineage, open_registry
from tests.components.conftest import furnished, here
from tests.components.place import DAYS, DECLARED, TEMP, WIND, labels

__all__ = ["furnished", "here"]
# The newest day, 2024-01-03, has ended an hour before; a temperature may be two hours old.
NOW = datetime(2024, 1, 4, 1, tzinfo=timezone.utc)


@pytest.fixture
def serving(here):
    """Return a place with a model of two features that serves at two endpoints."""
    here.load()
    here.join(labels(("JFK", "02 07:30")), (TEMP, WIND))
    (here.root / "model").write_text("weights")
    about = {"model": str(here.root / "model"), "registry": here.registry}
    record_model.run(training_set=str(here.out), **about)
    for endpoint in ("eu", "us"):
        record_deployment.run(endpoint=endpoint, **about)
    return here


def doubts(here, now=NOW):
    """Return the doubts about each endpoint's features."""
    found = deployed(open_registry(here.registry), open_lineage(here.registry), now=now)
    return {each.endpoint: [(doubt.feature, doubt.what) for doubt in each.doubts] for each in found}


def test_fresh_features_in_their_newest_version_are_no_doubt(serving):
    """At every endpoint."""
    assert doubts(serving) == {"eu": [], "us": []}


def test_a_feature_is_stale_when_its_newest_day_is_older_than_it_may_be(serving):
    """To the hour; one without a max age is never stale."""
    edge, beyond = NOW.replace(hour=2), NOW.replace(hour=3)
    assert DAYS[-1] == "2024-01-03"
    assert doubts(serving, edge)["eu"] == []
    assert doubts(serving, beyond)["eu"] == [(f"{TEMP}@1", "stale")]


def test_a_newer_version_makes_the_one_that_serves_outdated(serving):
    """The model still has the old one."""
    serving.register(DECLARED.replace("column: wind_speed", "column: temp"))
    assert doubts(serving)["us"] == [(f"{WIND}@1", "outdated")]


@pytest.mark.parametrize("life_cycle", ["deprecated", "retired"])
def test_a_feature_at_its_end_that_serves_all_the_same_is_told(serving, life_cycle):
    """The registry lets no feature of a deployed model end, but a deployment may begin afterwards."""
    about = {"model": str(serving.root / "model"), "registry": serving.registry}
    for endpoint in ("eu", "us"):
        record_deployment.run(endpoint=endpoint, active=False, **about)
    open_registry(serving.registry).set_life_cycle([WIND], life_cycle)
    record_deployment.run(endpoint="us", **about)
    assert doubts(serving) == {"us": [(f"{WIND}@1", life_cycle)]}
