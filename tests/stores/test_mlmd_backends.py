"""What holds of an MLMD store whatever is behind it, and what is refused of servers and of their URIs."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st

from jukebox.errors import InvalidValue, StorageError
from jukebox.stores import Recorded, open_lineage, open_registry
from jukebox.stores.mlmd.escaping import escape, unescape
from jukebox.stores.mlmd.library import pb
from jukebox.stores.mlmd.opening import connect
from jukebox.stores.uris import redacted
from tests.stores.backends import PASSWORD, SPELLED, database, free_port, locked, say
from tests.stores.mlmd_writers import feature, offline

DATABASES = ["postgresql", "mariadb"]
ODD = [
    'it\'s "quoted" \\ and \\\\ twice, ␛ and ␛/ too\n\ttab',
    "\\', TRUE); DROP TABLE event; --\\",
    ", TRUE); DROP TABLE event; --\\",
    "ünïcödé 音楽 🎵 %s $1 ? ; --",
    "x" * 1000,
    "é" * 1000,
]


@pytest.fixture(params=DATABASES)
def server(request, servers) -> str:
    """Return the URI of each database server."""
    return servers[request.param]


@pytest.fixture(params=["sqlite", *DATABASES])
def uri(request, tmp_path, servers) -> str:
    """Return where no store is yet."""
    return f"mlmd+sqlite://{tmp_path}/new.db" if request.param == "sqlite" else database(servers[request.param])


def test_any_text_comes_back_as_it_was(uri):
    """In descriptions, URIs, names and properties: quotes, backslashes, attempts at SQL, long ones."""
    registry = open_registry(uri)
    registered = registry.register([feature(f"f{i}", description=text) for i, text in enumerate(ODD)])
    for each, text in zip(registered, ODD, strict=True):
        registry.add_offline_source(offline(text, each.versioned))
        written = Recorded("jukebox.FeatureTable", text, text, ((text[:50], text),))
        registry.record("offline_load", reads=[each.versioned], outputs=[written])
    again, lineage = open_registry(uri), open_lineage(uri)
    for each, text in zip(registered, ODD, strict=True):
        assert again.feature(str(each.name)).feature.description == text
        assert [source.uri for source in again.offline_sources(each.versioned)] == [text]
        (node,) = lineage.nodes_at(text)
        assert dict(node.properties) == {"name": text, text[:50]: text}


def test_five_hundred_features_are_one_registration(uri):
    """They are listed by name, and the same again changes none."""
    registry, many = open_registry(uri), [feature(f"f{i:03}") for i in range(500)]
    assert {each.change for each in registry.register(many)} == {"new"}
    assert [each.feature.name.name for each in registry.features()] == [f"f{i:03}" for i in range(500)]
    assert {each.change for each in open_registry(uri).register(many)} == {"unchanged"}


def test_a_database_is_made_for_a_registry_and_not_for_lineage(server):
    """Reading what is not there names it and makes nothing."""
    uri = database(server)
    for _ in range(2):
        with pytest.raises(StorageError, match=f"/{uri.rpartition('/')[2]} cannot be opened"):
            open_lineage(uri)
    open_registry(uri)
    with pytest.raises(LookupError):
        open_lineage(uri).feature_nodes("/airport/weather/temp")


def test_a_lost_connection_is_opened_again(server):
    """Who reads does not notice; who writes is told that it may have been done, and the next write gets through."""
    uri = database(server)
    registry = open_registry(uri)
    registry.register([feature()])
    cut_off(uri)
    assert len(registry.features()) == 1
    store = connect(uri, create=True)
    cut_off(uri)
    with pytest.raises(StorageError, match="was lost during put_artifact_type, which it may have done"):
        store.call("put_artifact_type", pb.ArtifactType(name="New"))
    store.call("put_artifact_type", pb.ArtifactType(name="New"))


def cut_off(uri: str) -> None:
    """Have the server end all connections to a database."""
    name = uri.rpartition("/")[2]
    end = {
        "mlmd+postgresql": f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' "
        "AND pid <> pg_backend_pid()",
        "mlmd+mysql": f"SELECT CONCAT('KILL ', id, ';') FROM information_schema.processlist WHERE db = '{name}' "
        "AND id <> CONNECTION_ID()",
    }[uri.partition("://")[0]]
    told = say(uri, end).communicate()[0]
    if told.startswith("KILL"):
        say(uri, told).communicate()


def test_an_absent_server_is_named_without_the_password(server):
    """Nobody listens at the port."""
    port = free_port()
    scheme = server.partition("://")[0]
    with pytest.raises(StorageError, match=f"://ann@127.0.0.1:{port}/db does not answer: Connection refused"):
        open_registry(f"{scheme}://ann:{SPELLED}@127.0.0.1:{port}/db")


def test_a_wrong_password_is_refused_and_not_printed(server):
    """The error names the user, and what else it may have been."""
    with pytest.raises(StorageError, match="refuses the user 'ann', its password, the database or TLS") as caught:
        open_registry(server.replace(SPELLED, "s3cret") + "/db")
    assert "s3cret" not in str(caught.value)


def test_the_password_may_come_from_the_environment(server, monkeypatch):
    """So that it stands in no pipeline's parameters and in no list of processes."""
    monkeypatch.setenv("JUKEBOX_METADATA_PASSWORD", PASSWORD)
    bare = database(server.replace(f":{SPELLED}", ""))
    open_registry(bare).register([feature()])
    assert len(open_registry(bare).features()) == 1


@pytest.mark.parametrize("version", [8, 99])
def test_a_database_of_another_schema_version_is_refused_and_not_migrated(server, version):
    """The error says which versions; the database keeps its own."""
    uri = database(server)
    open_registry(uri)
    table = "mlmdenv" if "postgresql" in uri else "MLMDEnv"
    say(uri, f"UPDATE {table} SET schema_version = {version}").communicate()
    for opener in (open_registry, open_lineage):
        with pytest.raises(StorageError, match=f"cannot be opened: MLMD database version {version} is"):
            opener(uri)
    assert str(version) in say(uri, f"SELECT schema_version FROM {table}").communicate()[0]


def test_a_locked_table_is_waited_for_up_to_the_time_limit(servers, monkeypatch):
    """PostgreSQL itself would wait for ever."""
    uri = database(servers["postgresql"])
    registry = open_registry(uri)
    registry.register([feature()])
    monkeypatch.setenv("JUKEBOX_METADATA_TIMEOUT", "0.3")
    waiting = open_registry(uri)
    with locked(uri, "artifact"):
        with pytest.raises(StorageError, match=r"has been locked by another process for 0\.3 seconds"):
            waiting.features()
        with pytest.raises(StorageError, match=r"has been locked by another process for 0\.3 seconds"):
            waiting.register([feature("other")])
    assert len(waiting.features()) == len(registry.features()) == 1


def test_a_database_that_folds_case_says_so_where_two_names_meet(servers):
    """MySQL's usual collations take Temp for temp; utf8mb4_bin does not."""
    folding = open_registry(database(servers["mariadb"]))
    folding.register([feature("temp")])
    with pytest.raises(StorageError, match="differ in case alone for one, which a database made with COLLATE utf8mb4"):
        folding.register([feature("Temp")])
    exact = open_registry(f"{servers['mariadb']}/exact")
    exact.register([feature("temp"), feature("Temp")])
    assert len(exact.features()) == 2


def test_a_uri_is_found_by_its_very_spelling(servers):
    """Also where the database takes upper for lower case."""
    uri = database(servers["mariadb"])
    open_registry(uri).record(
        "load", outputs=[Recorded("jukebox.DataSet", "Data"), Recorded("jukebox.DataSet", "data")]
    )
    assert [each.uri for each in connect(uri, create=False).call("get_artifacts_by_uri", "data")] == ["data"]


@pytest.mark.parametrize(
    ("uri", "match"),
    [
        ("mlmd+postgresql://ann:s3cret@host", "names no metadata store; it is written mlmd.postgresql://user:password"),
        ("mlmd+mysql://ann:s3cret@host/", "names no metadata store; it is written mlmd.mysql://user:password"),
        ("mlmd+postgresql:///db", "names no metadata store"),
        ("mlmd+grpc://", "names no metadata store; it is written mlmd.grpc://host:8080"),
        ("mlmd+grpc://host:8080/db?token=s3cret", "names no metadata store"),
        ("mlmd+grpc://host:port", "has no port that is a number"),
        ("mlmd+postgresql://ann:s3cret@host:99999/db", "has no port that is a number"),
        ("mlmd+grpc://host?tokn=s3cret", "option 'tokn'; a mlmd.grpc:// URI takes tls, ca, cert, key, token"),
        ("mlmd+grpc://host?tls=maybe", "neither 1 nor 0"),
        ("mlmd+grpc://host?token=s3cret", "would travel unencrypted"),
        ("mlmd+postgresql://ann:s3cret@127.0.0.1/a'%20b", "MLMD does not quote it"),
        ("postgresql://ann:s3cret@host/db", "is no registry"),
    ],
)
def test_a_uri_that_is_none_is_refused_without_its_secrets(uri, match):
    """The error says how one is written."""
    with pytest.raises(InvalidValue, match=match) as caught:
        open_registry(uri)
    assert "s3cret" not in str(caught.value)


@given(st.text(st.sampled_from("a:/@?&=%'\\"), max_size=12))
def test_no_part_of_a_password_or_token_is_printed(text):
    """However badly it is percent-encoded."""
    assert "s3" not in redacted(f"mlmd+mysql://ann:s3{text}s3@host/db")
    encoded = quote(text, safe=":/@?=%'\\")
    assert "s3" not in redacted(f"mlmd+grpc://host:8080?token=s3{encoded}s3&tls=1")


@pytest.mark.parametrize("seconds", ["soon", "0", "-1", "nan", "inf"])
def test_a_time_limit_that_is_none_is_refused(seconds, tmp_path, monkeypatch):
    """It is a number of seconds above 0."""
    monkeypatch.setenv("JUKEBOX_METADATA_TIMEOUT", seconds)
    with pytest.raises(InvalidValue, match=f"JUKEBOX_METADATA_TIMEOUT is '{seconds}'"):
        open_registry(f"mlmd+sqlite://{tmp_path}/a.db")


@given(st.text(), st.text(st.sampled_from("\\␛/a")))
def test_a_message_comes_back_from_its_escape_which_holds_no_backslash(text, key):
    """Names, map keys and values, nested messages and repeated strings."""
    event = pb.Event(path=pb.Event.Path(steps=[pb.Event.Path.Step(key=key)]))
    artifact = pb.Artifact(name=text, type_id=3)
    artifact.custom_properties[key].string_value = text
    artifact.properties["whole"].int_value = 7
    kind = pb.ArtifactType(name=key, properties={key: pb.STRING})
    for message in (event, artifact, kind):
        sent = type(message)()
        sent.CopyFrom(message)
        escape(sent)
        assert not any("\\" in each for each in _texts(MessageToDict(sent)))
        unescape(sent)
        assert sent == message


def _texts(value: object) -> list[str]:
    """Return all strings within what JSON holds."""
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in _texts(each)]
    return [text for each in value for text in _texts(each)] if isinstance(value, list) else [str(value)]
