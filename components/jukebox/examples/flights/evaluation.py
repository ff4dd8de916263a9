"""The metric step: whether the model with the joined features is better than the one without."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jukebox.errors import NoPartition
from jukebox.examples.flights import columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Numbers = npt.NDArray[np.float64]

_BATCH = 8192
_SERVING = "Format-Serving"
_EVEN = 0.5


def run(*, model: str, baseline: str, examples: str, out: str) -> dict[str, Any]:
    """Return AUC, log loss and accuracy of both models on ``Split-eval``, which ``out`` now holds as metrics.json.

    ``model`` and ``baseline`` are folders of TFX Model artifacts, ``examples`` one of Examples. Rows without a
    label are left out. ``blessed`` is true where the model's AUC is no less than the baseline's.
    Raises NoPartition where there is nothing to evaluate on.
    """
    files = sorted(str(path) for path in Path(examples, "Split-eval").glob("*.gz"))
    if not files:
        raise NoPartition(f"{examples} has no Split-eval/*.gz to evaluate the models on")
    paths = {"model": model, "baseline": baseline}
    truth, answers = predictions({name: str(Path(path, _SERVING)) for name, path in paths.items()}, files)
    result: dict[str, Any] = {name: metrics(truth, answer) for name, answer in answers.items()}
    result |= {"rows": len(truth), "late_share": float(truth.mean())}
    result["blessed"] = result["model"]["auc"] >= result["baseline"]["auc"]
    Path(out).mkdir(parents=True, exist_ok=True)
    Path(out, "metrics.json").write_text(json.dumps(result, indent=2) + "\n")
    return result


def bless(folder: str, *, blessed: bool) -> None:
    """Leave in ``folder`` the empty file that says whether the model may be pushed."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    Path(folder, "BLESSED" if blessed else "NOT_BLESSED").touch()


def predictions(models: dict[str, str], files: Sequence[str]) -> tuple[Numbers, dict[str, Numbers]]:
    """Return the labels of the examples that have one, and the probabilities that each SavedModel gives them."""
    import tensorflow as tf

    serve = {name: tf.saved_model.load(path).signatures["serving_default"] for name, path in models.items()}
    spec = {columns.LABEL: tf.io.FixedLenFeature([], tf.int64, columns.MISSING_LABEL)}
    truth: list[Numbers] = []
    answers: dict[str, list[Numbers]] = {name: [] for name in models}
    for batch in tf.data.TFRecordDataset(files, compression_type="GZIP").batch(_BATCH).prefetch(2):
        label = tf.io.parse_example(batch, spec)[columns.LABEL]
        known = label != columns.MISSING_LABEL
        truth.append(tf.boolean_mask(label, known).numpy().astype(float))
        labelled = tf.boolean_mask(batch, known)
        for name, signature in serve.items():
            answers[name].append(signature(examples=labelled)[columns.LABEL].numpy().astype(float))
    return np.concatenate(truth), {name: np.concatenate(parts) for name, parts in answers.items()}


def metrics(truth: Numbers, probability: Numbers) -> dict[str, float]:
    """Return the area under the ROC curve, the mean log loss in nats, and the accuracy at one half."""
    clipped = np.clip(probability, 1e-7, 1 - 1e-7)
    losses = truth * np.log(clipped) + (1 - truth) * np.log(1 - clipped)
    return {
        "auc": auc(truth, probability),
        "log_loss": float(-losses.mean()),
        "accuracy": float(((probability >= _EVEN) == (truth == 1)).mean()),
    }


def auc(truth: Numbers, score: Numbers) -> float:
    """Return the probability that a late flight's score beats another's, equal scores counting half.

    >>> auc(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.1, 0.9, 0.5, 0.5]))
    0.875
    """
    _, group, size = np.unique(score, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(size) - (size - 1) / 2
    late = truth == 1
    beaten = mean_rank[group][late].sum() - late.sum() * (late.sum() + 1) / 2
    return float(beaten / (late.sum() * (~late).sum()))
