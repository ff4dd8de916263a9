"""``jukebox metadata serve``: MLMD's own clients, ours, and TFX at one server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from jukebox.errors import InvalidValue, StorageError
from jukebox.stores import open_lineage, open_registry
from jukebox.stores.mlmd.library import MetadataStore, pb, service_pb, status
from jukebox.stores.mlmd.server import Guard, serving
from tests.stores.backends import database, free_port, grpc_server, say, server_process
from tests.stores.mlmd_writers import feature, raw

METHODS = service_pb.DESCRIPTOR.services_by_name["MetadataStoreService"].methods
OPEN = Guard()


def client(address: str, **ssl: str) -> MetadataStore:
    """Return MLMD's own client of a server, as TFX and KFP make it."""
    host, _, port = address.removeprefix("mlmd+grpc://").rpartition(":")
    config = pb.MetadataStoreClientConfig(host=host, port=int(port), client_timeout_sec=20)
    for name, path in ssl.items():
        setattr(config.ssl_config, name, Path(path).read_text())
    return MetadataStore(config)


@pytest.fixture
def address(tmp_path) -> Iterator[str]:
    """Serve a new store; return the server's address."""
    with serving(f"mlmd+sqlite://{tmp_path}/served.db", host="127.0.0.1", port=0, guard=OPEN) as address:
        yield address


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    """Return a folder with an authority and the keys and certificates that it gave a server and a client."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here: apt-get install openssl")
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-subj")
    openssl(*new, "/CN=authority", "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    for who in ("server", "client"):
        openssl(*new, f"/CN={who}", "-keyout", f"{who}.key", "-out", f"{who}.csr")
        given = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names")
        openssl("x509", "-req", "-in", f"{who}.csr", "-out", f"{who}.pem", *given)
    return folder


def test_mlmd_s_own_client_and_ours_share_one_store(address, tmp_path):
    """What either writes the other reads, and so does who opens the file."""
    (made,) = open_registry(f"mlmd+grpc://{address}").register([feature()])
    theirs = client(address)
    (artifact,) = theirs.get_artifacts_by_type("jukebox.Feature")
    kind = theirs.put_execution_type(pb.ExecutionType(name="Trainer"))
    read = (artifact, pb.Event(type=pb.Event.INPUT))
    theirs.put_execution(pb.Execution(type_id=kind, last_known_state=pb.Execution.COMPLETE), [read], [])
    lineage = open_lineage(f"mlmd+grpc://{address}")
    (node,) = lineage.feature_nodes(made.versioned)
    (event,) = [
        e for e in lineage.events_of_artifacts([node.id]) if lineage.executions([e.execution])[0].type == "Trainer"
    ]
    assert not event.output
    assert len(raw(tmp_path / "served.db").get_artifacts_by_type("jukebox.Feature")) == 1


def test_errors_have_the_codes_that_mlmd_gives_them_in_process(address, tmp_path):
    """Also where the text that comes with them is longer than gRPC's headers may be."""
    calls = {
        "not there": lambda store: store.get_artifact_type("none"),
        "no name": lambda store: store.put_artifact_type(pb.ArtifactType()),
        "no type": lambda store: store.put_artifacts([pb.Artifact(type_id=999, uri="x")]),
        "twice": lambda store: (store.put_context_type(pb.ContextType(name="C")), [put_big(store) for _ in range(2)]),
        "unknown event": lambda store: store.put_events([pb.Event(artifact_id=9, execution_id=9, type=pb.Event.INPUT)]),
    }
    stores = raw(tmp_path / "in_process.db"), client(address)
    codes = {name: [code_of(lambda s=store, c=call: c(s)) for store in stores] for name, call in calls.items()}
    assert codes["not there"] == [status.NOT_FOUND] * 2
    assert codes["twice"] == [status.ALREADY_EXISTS] * 2
    assert all(here == there is not None for here, there in codes.values())


def put_big(store: MetadataStore) -> None:
    """Put a named context with a text of 100,000 characters."""
    context = pb.Context(type_id=store.get_context_type("C").id, name="one")
    context.custom_properties["text"].string_value = "é" * 100_000
    store.put_contexts([context])


def code_of(call: object) -> int | None:
    """Return the code of MLMD's error, or None for none."""
    try:
        call()
    except status.StatusError as exc:
        return exc.error_code
    return None


@pytest.mark.parametrize("method", [method.name for method in METHODS])
def test_every_method_of_the_service_is_answered(address, method):
    """An empty request gets an answer or an error of MLMD's; what this release has not says so."""
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(
            f"/ml_metadata.MetadataStoreService/{method}",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=getattr(service_pb, f"{method}Response").FromString,
        )
        try:
            call(getattr(service_pb, f"{method}Request")(), timeout=20)
            code = grpc.StatusCode.OK
        except grpc.RpcError as exc:
            code = exc.code()
    expected = {"GetLineageGraph": grpc.StatusCode.UNIMPLEMENTED}
    usual = {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}
    assert code in ({expected[method]} if method in expected else usual)


def test_parents_and_children_of_several_contexts_come_in_one_answer(address):
    """MLMD's Python library lacks these two methods, which its own server has."""
    store = client(address)
    kind = store.put_context_type(pb.ContextType(name="C"))
    parent, one, other = store.put_contexts([pb.Context(type_id=kind, name=name) for name in "pab"])
    store.put_parent_contexts([pb.ParentContext(parent_id=parent, child_id=child) for child in (one, other)])
    with grpc.insecure_channel(address) as channel:

        def ask(what: str, ids: list[int]) -> object:
            method = f"Get{what}ContextsByContexts"
            request = getattr(service_pb, f"{method}Request")(context_ids=ids).SerializeToString()
            answer = channel.unary_unary(f"/ml_metadata.MetadataStoreService/{method}")(request, timeout=20)
            return getattr(service_pb, f"{method}Response").FromString(answer)

        parents, children = ask("Parent", [one, other]), ask("Children", [parent])
    assert {child: found.parent_contexts[0].name for child, found in parents.contexts.items()} == {one: "p", other: "p"}
    assert sorted(each.name for each in children.contexts[parent].children_contexts) == ["a", "b"]


def test_an_answer_may_be_larger_than_grpc_s_four_megabytes(address):
    """A whole registry is one answer."""
    registry = open_registry(f"mlmd+grpc://{address}")
    registry.register([feature(f"f{i}", description="x" * 100_000) for i in range(60)])
    assert len(open_registry(f"mlmd+grpc://{address}").features()) == 60


def test_health_is_that_of_the_store(address):
    """A probe learns it for the server as a whole and for the service, and needs no token."""
    assert {health(address, name) for name in ("", "ml_metadata.MetadataStoreService")} == {1}


def test_health_turns_with_the_database_and_back(servers):
    """A server whose database refuses is not serving, and calls are UNAVAILABLE; both without a restart."""
    uri = database(servers["postgresql"])
    name = uri.rpartition("/")[2]
    other = f"{servers['postgresql']}/postgres"
    with grpc_server(uri) as registry:
        address = registry.removeprefix("mlmd+grpc://")
        assert health(address) == 1
        say(other, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false").communicate()
        say(other, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'").communicate()
        assert health(address) == 2
        with pytest.raises(status.UnavailableError, match="cannot be opened"):
            client(address).get_artifacts()
        say(other, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true").communicate()
        assert health(address) == 1
        assert client(address).get_artifacts() == []


def health(address: str, service: str = "") -> int:
    """Return what the server says of its health; 1 is serving."""
    with grpc.insecure_channel(address) as channel:
        asked = health_pb2.HealthCheckRequest(service=service)
        return health_pb2_grpc.HealthStub(channel).Check(asked, timeout=20).status


def test_who_does_not_show_the_token_is_refused(tmp_path, monkeypatch):
    """By the environment or the URI; without it nobody reads or writes, but health is told."""
    guard = Guard(token="s3cret")
    with serving(f"mlmd+sqlite://{tmp_path}/served.db", host="127.0.0.1", port=0, guard=guard) as address:
        assert health(address) == 1
        with pytest.raises(status.UnauthenticatedError):
            client(address).get_artifacts()
        for shown in ("", "?token=wrong"):
            with pytest.raises(StorageError, match="refuses the token, which JUKEBOX_METADATA_TOKEN holds") as caught:
                open_registry(f"mlmd+grpc://{address}{shown}")
            assert "wrong" not in str(caught.value)
        open_registry(f"mlmd+grpc://{address}?token=s3cret").register([feature()])
        monkeypatch.setenv("JUKEBOX_METADATA_TOKEN", "s3cret")
        assert len(open_registry(f"mlmd+grpc://{address}").features()) == 1


def test_over_tls_the_server_shows_its_certificate_and_may_ask_for_the_client_s(tmp_path, certificates):
    """MLMD's own client and ours get in with the authority's certificate and one of their own, and not without."""
    pem = {
        name: str(certificates / name) for name in ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")
    }
    guard = Guard(pem["server.pem"], pem["server.key"], pem["ca.pem"], "s3cret")
    store = f"mlmd+sqlite://{tmp_path}/served.db"
    with serving(store, host="127.0.0.1", port=0, guard=guard) as address:
        own = f"cert={pem['client.pem']}&key={pem['client.key']}"
        open_registry(f"mlmd+grpc://{address}?ca={pem['ca.pem']}&{own}&token=s3cret").register([feature()])
        for without in (f"ca={pem['ca.pem']}", own, ""):
            with pytest.raises(StorageError, match="does not answer as a metadata store"):
                open_registry(f"mlmd+grpc://{address}?{without}")
    with serving(store, host="127.0.0.1", port=0, guard=Guard(*guard_of_client(pem))) as address:
        shown = {"custom_ca": pem["ca.pem"], "server_cert": pem["client.pem"], "client_key": pem["client.key"]}
        assert len(client(address, **shown).get_artifacts_by_type("jukebox.Feature")) == 1


def guard_of_client(pem: dict[str, str]) -> tuple[str, str, str]:
    """Return a guard's certificates without a token, which MLMD's own client cannot show."""
    return pem["server.pem"], pem["server.key"], pem["ca.pem"]


def test_what_does_not_guard_is_refused(tmp_path, certificates):
    """Before the store is opened: half a pair, a token in the open, a file that is none."""
    pair = str(certificates / "server.pem"), str(certificates / "server.key")
    (tmp_path / "notes.pem").write_text("a note")
    for host, guard, match in (
        ("127.0.0.1", Guard(cert=pair[0]), "both a certificate and its key"),
        ("127.0.0.1", Guard(client_ca=pair[0]), "over TLS alone"),
        ("0.0.0.0", Guard(token="t"), "would travel to 0.0.0.0 unencrypted"),
        ("127.0.0.1", Guard(token=" "), "the token is empty"),
        ("127.0.0.1", Guard(*pair, client_ca=str(tmp_path / "notes.pem")), "notes.pem is no PEM file"),
    ):
        with (
            pytest.raises(InvalidValue, match=match),
            serving(f"mlmd+sqlite://{tmp_path}/a.db", host=host, port=0, guard=guard),
        ):
            pass
    assert not (tmp_path / "a.db").exists()


def test_a_port_that_is_taken_is_named(address, tmp_path):
    """Two servers at one port would each take half of the calls."""
    port = int(address.rpartition(":")[2])
    with (
        pytest.raises(StorageError, match=f"no server can listen at 127.0.0.1:{port}"),
        serving(f"mlmd+sqlite://{tmp_path}/b.db", host="127.0.0.1", port=port, guard=OPEN),
    ):
        pass


def test_the_command_serves_until_it_is_told_to_stop(tmp_path):
    """It says where, and after SIGTERM that it stopped, with exit code 0; then the store answers by its file."""
    with server_process(f"mlmd+sqlite://{tmp_path}/served.db") as (process, address):
        open_registry(address).register([feature()])
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[0] == "stopped\n"
        assert process.returncode == 0
    assert len(open_registry(f"mlmd+sqlite://{tmp_path}/served.db").features()) == 1


def test_a_server_that_dies_is_an_error_after_the_time_limit(tmp_path, monkeypatch):
    """Of reading and of writing; the error names the server."""
    with server_process(f"mlmd+sqlite://{tmp_path}/served.db") as (process, address):
        registry = open_registry(address)
        monkeypatch.setenv("JUKEBOX_METADATA_TIMEOUT", "0.3")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        for use in (registry.features, lambda: registry.register([feature()])):
            with pytest.raises(StorageError, match=f"{address.partition(':')[2]} was lost during"):
                use()


def test_a_registry_goes_on_with_the_server_that_takes_the_place_of_one_that_died(tmp_path):
    """It waits for the next at the port, and finds there what the one before was given."""
    store, port = f"mlmd+sqlite://{tmp_path}/served.db", str(free_port())
    with server_process(store, "--port", port) as (process, address):
        registry = open_registry(address)
        registry.register([feature()])
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with server_process(store, "--port", port):
        assert [each.change for each in registry.register([feature(), feature("other")])] == ["unchanged", "new"]


def test_a_server_is_stopped_by_a_signal_to_whichever_of_its_threads():
    """The kernel chooses the thread, and does not always take the first."""
    code = (
        "import signal, threading, time\n"
        "from jukebox.stores.mlmd.server import until_stopped\n"
        "sleeper = threading.Thread(target=time.sleep, args=(60,), daemon=True)\n"
        "sleeper.start()\n"
        "threading.Timer(0.5, signal.pthread_kill, (sleeper.ident, signal.SIGTERM)).start()\n"
        "until_stopped()\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0


def test_a_server_that_is_silent_is_given_up_after_the_time_limit(tmp_path, monkeypatch):
    """It is stopped in its tracks, as by a machine that hangs."""
    with server_process(f"mlmd+sqlite://{tmp_path}/served.db") as (process, address):
        monkeypatch.setenv("JUKEBOX_METADATA_TIMEOUT", "0.5")
        registry = open_registry(address)
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        try:
            with pytest.raises(StorageError, match=r"did not answer get_\w+ within 0.5 seconds"):
                registry.features()
        finally:
            process.send_signal(signal.SIGCONT)
        assert registry.features() == ()


def test_a_server_keeps_postgresql_from_backslashes(servers):
    """Whatever MLMD's own client writes comes back, and the tables are still there; its own way there would run it."""
    with grpc_server(database(servers["postgresql"])) as address:
        store = client(address)
        kind = store.put_artifact_type(pb.ArtifactType(name="A\\B", properties={"p\\": pb.STRING}))
        artifact = pb.Artifact(type_id=kind, uri=", TRUE); DROP TABLE event; --\\", name="C:\\temp")
        artifact.properties["p\\"].string_value = "\\'; DROP TABLE event; --"
        (made,) = store.put_artifacts([artifact])
        (found,) = store.get_artifacts_by_id([made])
        assert (found.uri, found.name, found.type) == (artifact.uri, artifact.name, "A\\B")
        assert found.properties == artifact.properties
        assert store.get_artifact_by_type_and_name("A\\B", "C:\\temp").id == made
        assert not store.get_events_by_artifact_ids([made])
