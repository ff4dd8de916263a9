"""TFX's local runner at ``jukebox metadata serve``, by MLMD's own client configuration."""

from __future__ import annotations

import pytest

from jukebox.core.lineage import downstream
from jukebox.stores import open_lineage
from tests.components.place import DAYS, TEMP, Place, furnish
from tests.stores.backends import grpc_server

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    """Return sources on disk, with features declared."""
    return furnish(tmp_path_factory.mktemp("furnished"))


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_a_pipeline_runs_and_is_recorded_in_the_registry_that_it_asks(place, store, tmp_path, request):
    """TFX's executions and our features meet in one store: the lineage leads from a feature to the table."""
    behind = f"mlmd+sqlite://{tmp_path}/served.db"
    if store == "postgresql":
        behind = f"{request.getfixturevalue('servers')['postgresql']}/tfx"
    with grpc_server(behind) as registry:
        run(place, registry, str(tmp_path / "artifacts"))
        lineage = open_lineage(registry)
        found = downstream(lineage, *lineage.feature_nodes(TEMP))
        (table,) = found.artifacts(["jukebox.FeatureTable"])
        assert table.uri.startswith(f"{tmp_path}/artifacts/OfflineLoad/feature_table/")
        runs = {node.type: node.state for node in found.nodes if node.kind == "execution"}
        assert runs["jukebox.offline_load.tfx.OfflineLoad"] == "COMPLETE"


def run(place: Place, registry: str, root: str) -> None:
    """Run register_features and offline_load by TFX's local runner, its metadata at the registry's server."""
    from tfx.dsl.components.common.importer import Importer
    from tfx.orchestration.local.local_dag_runner import LocalDagRunner
    from tfx.orchestration.pipeline import Pipeline

    from jukebox.stores.mlmd.library import pb
    from jukebox.tfx import DataSet, OfflineLoad, RegisterFeatures

    host, _, port = registry.partition("://")[2].partition(":")
    source = Importer(source_uri=str(place.source), artifact_type=DataSet).with_id("Source")
    register = RegisterFeatures(features=str(place.root / "features.yaml"), registry=registry)
    load = OfflineLoad(
        endpoint="weather",
        source=source.outputs["result"],
        feature_set=register.outputs["feature_set"],
        registry=registry,
        start=DAYS[0],
        end=DAYS[-1],
    )
    pipeline = Pipeline(
        pipeline_name="served",
        pipeline_root=root,
        metadata_connection_config=pb.MetadataStoreClientConfig(host=host, port=int(port)),
        components=[source, register, load],
    )
    LocalDagRunner().run(pipeline)
