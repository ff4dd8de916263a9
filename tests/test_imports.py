"""What importing costs: each door opens only the rooms behind it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "tfx",
    "kfp",
    "tensorflow",
    "apache_beam",
    "tensorflow_data_validation",
    "ml_metadata",
    "google.cloud.bigtable",
}


def modules_after(code: str) -> set[str]:
    """Return the modules that a new Python has imported after ``code``."""
    script = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(json.loads(found.stdout.splitlines()[-1]))


def test_importing_jukebox_brings_nothing_heavy_not_even_arrow():
    """`import jukebox` is for everybody, whatever is installed."""
    assert not modules_after("import jukebox") & (HEAVY | {"pyarrow", "numpy", "jsonschema", "pandas"})


@pytest.mark.parametrize(
    "component",
    [
        "register_features",
        "convert",
        "offline_load",
        "point_in_time_join",
        "feature_statistics",
        "online_load",
        "verify_training_set",
        "record_model",
        "record_deployment",
        "consistency_check",
        "log_training_set",
    ],
)
def test_importing_a_component_brings_no_orchestrator_and_no_tensorflow(component):
    """A step pays for the libraries that it needs, when it needs them."""
    assert not modules_after(f"import jukebox.{component}") & HEAVY


def test_the_command_line_starts_without_arrow():
    """`jukebox --help` answers at once."""
    assert not modules_after("import jukebox.cli") & (HEAVY | {"pyarrow", "numpy", "pandas"})


def test_serving_brings_no_orchestrator_and_no_tensorflow():
    """A model server imports the reader alone, and the log that it is told to."""
    assert not modules_after("from jukebox.serving import FeatureReader") & HEAVY
    assert not modules_after("from jukebox.serving.feature_log import FeatureLog") & HEAVY
