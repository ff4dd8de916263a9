"""Record that a model serves at an endpoint, or serves there no longer: so that "used" means used."""

from __future__ import annotations

from datetime import datetime, timezone

from jukebox.core.uses import DEPLOYMENT
from jukebox.errors import InvalidValue
from jukebox.stores import Recorded, open_lineage, open_registry
from jukebox.tables import Manifest, Source, combined


def run(
    *,
    model: str,
    endpoint: str,
    registry: str,
    active: bool = True,
    out: str | None = None,
    execution: str | None = None,
) -> Manifest:
    """Make the model at ``model`` known as serving at ``endpoint``, or with ``active`` False as serving there no more.

    The features of a model that serves can neither be deprecated nor retired. A model may serve at many endpoints and
    an endpoint may serve many models; the same again changes nothing. Returns the manifest, which is written to
    ``out`` where that is given.

    Raises InvalidValue for an endpoint without a name, and NotRegistered for a model that is not recorded, and for the
    end of a deployment that there is not.
    """
    if not endpoint.strip():
        raise InvalidValue("a deployment needs the name of its endpoint")
    store = open_registry(registry, writes="record_deployment")
    known = open_lineage(registry).nodes_at(model)[-1]
    if not active:
        store.end_deployment(known.uri, endpoint)
    elif not store.resume_deployment(known.uri, endpoint):
        told = (("endpoint", endpoint), ("active", "true"))
        store.record(
            "record_deployment",
            inputs=[Recorded(known.type, known.uri)],
            outputs=[Recorded(DEPLOYMENT, f"{endpoint}#{known.uri}", endpoint, told)],
            execution=execution,
        )
    manifest = Manifest(
        kind="deployment",
        fingerprint=combined([endpoint, str(active)]),
        inputs=(Source(known.uri, ""),),
        details={
            "model": known.uri,
            "endpoint": endpoint,
            "active": str(active).lower(),
            "since": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        },
    )
    return manifest if out is None else manifest.write(out)
