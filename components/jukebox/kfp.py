"""Every KFP face, so that a pipeline imports from one place."""

from jukebox.consistency_check.kfp import consistency_check
from jukebox.convert.kfp import convert
from jukebox.feature_statistics.kfp import feature_statistics
from jukebox.log_training_set.kfp import log_training_set
from jukebox.offline_load.kfp import offline_load
from jukebox.online_load.kfp import online_load
from jukebox.point_in_time_join.kfp import point_in_time_join
from jukebox.record_deployment.kfp import record_deployment
from jukebox.record_model.kfp import record_model
from jukebox.register_features.kfp import register_features
from jukebox.verify_training_set.kfp import verify_training_set

__all__ = [
    "consistency_check",
    "convert",
    "feature_statistics",
    "log_training_set",
    "offline_load",
    "online_load",
    "point_in_time_join",
    "record_deployment",
    "record_model",
    "register_features",
    "verify_training_set",
]
