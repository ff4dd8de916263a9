"""Every TFX face, so that a pipeline imports from one place."""

from jukebox.artifacts import (
    Consistency,
    DataSet,
    Deployment,
    FeatureSet,
    FeatureTable,
    ModelRecord,
    OnlineTable,
    Verification,
)
from jukebox.consistency_check.tfx import ConsistencyCheck
from jukebox.convert.tfx import Convert
from jukebox.feature_statistics.tfx import FeatureStatistics
from jukebox.log_training_set.tfx import LogTrainingSet
from jukebox.offline_load.tfx import OfflineLoad
from jukebox.online_load.tfx import OnlineLoad
from jukebox.point_in_time_join.tfx import PointInTimeJoin
from jukebox.record_deployment.tfx import RecordDeployment
from jukebox.record_model.tfx import RecordModel
from jukebox.register_features.tfx import RegisterFeatures
from jukebox.verify_training_set.tfx import VerifyTrainingSet

__all__ = [
    "Consistency",
    "ConsistencyCheck",
    "Convert",
    "DataSet",
    "Deployment",
    "FeatureSet",
    "FeatureStatistics",
    "FeatureTable",
    "LogTrainingSet",
    "ModelRecord",
    "OfflineLoad",
    "OnlineLoad",
    "OnlineTable",
    "PointInTimeJoin",
    "RecordDeployment",
    "RecordModel",
    "RegisterFeatures",
    "Verification",
    "VerifyTrainingSet",
]
