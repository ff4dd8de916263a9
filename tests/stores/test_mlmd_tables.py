"""Events read from a SQLite file itself are those that ml-metadata tells of."""

from __future__ import annotations

import pytest

from jukebox.errors import StorageError
from jukebox.stores import Recorded, open_registry
from jukebox.stores.mlmd.library import pb
from jukebox.stores.mlmd.lineage import MlmdLineage
from jukebox.stores.mlmd.opening import connect
from jukebox.stores.mlmd.tables import events
from tests.stores.mlmd_writers import Tfx, feature, raw


@pytest.fixture
def path(tmp_path):
    """Return a store with events of every type, a run that failed and one of the cache among them."""
    path = tmp_path / "store.db"
    registry = open_registry(f"mlmd+sqlite://{path}")
    (temp,) = registry.register([feature()])
    tfx = Tfx(path)
    (data,) = tfx.run("tfx.components.gen.Gen", [], ["Examples:data"])
    tfx.run("tfx.components.trainer.component.Trainer", [data], ["Model:one", "Model:two"])
    for number in range(3):
        outputs = [Recorded("jukebox.TrainingSet", f"set{number}"), Recorded("Model", "one")]
        registry.record("trainer", reads=[temp.versioned], inputs=[Recorded("Examples", "data")], outputs=outputs)
    store = raw(path)
    (run,) = store.get_executions()[:1]
    kinds = [pb.Event.INTERNAL_OUTPUT, pb.Event.INTERNAL_INPUT, pb.Event.DECLARED_OUTPUT, pb.Event.DECLARED_INPUT]
    for kind in kinds:
        store.put_events([pb.Event(type=kind, artifact_id=data, execution_id=run.id)])
    return path


@pytest.mark.parametrize("node", ["artifact", "execution"])
def test_the_file_tells_what_ml_metadata_tells(path, node):
    """Of all there is, of some, of what is not there, and of more than go into one query."""
    store = connect(f"mlmd+sqlite://{path}", create=False)
    known = [each.id for each in getattr(raw(path), f"get_{node}s")()]
    for asked in (known, known[1:3], [10**6], [], list(range(1, 5000))):
        read = getattr(MlmdLineage(store), f"events_of_{node}s")(asked)
        assert store.file == path
        store.file = None
        told = getattr(MlmdLineage(store), f"events_of_{node}s")(asked)
        store.file = path
        assert sorted(read) == sorted(told)
        assert bool(read) is (set(asked) & set(known) != set())


def test_a_file_that_is_gone_or_no_database_is_named(tmp_path):
    """In one sentence, and no file is made where there is none."""
    for wrong in (tmp_path / "none.db", tmp_path / "text.db"):
        if wrong.name == "text.db":
            wrong.write_text("no database " * 100)
        with pytest.raises(StorageError, match=f"{wrong.name} cannot be read"):
            events(wrong, str(wrong), "artifact_id", [1])
    assert not (tmp_path / "none.db").exists()
