"""Print one JSON line a question: milliseconds (wall and CPU, medians of rounds) on a store of a large company.

Run: ``python tests/benchmarks/lineage.py [models]``. The store (1,000 families, 5,000 features, 30,000 models of 50
features each) is made from a seed and kept in ``.benchmarks``. ``bar`` is what a question may take, where one is set.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.benchmarks.lineage_store import STATES, Size, declared, made, model_uri

from jukebox.core.lineage import features_of, models_of, upstream
from jukebox.core.lineage_questions import difference, training_sets_of, usage
from jukebox.core.uses_together import uses_of_each
from jukebox.stores import Registry, open_lineage, open_registry
from jukebox.stores.searching import Query

ROUNDS = 15
STORES = Path(__file__).parents[2] / ".benchmarks"


def measured(question: str, ask: Callable[[], object], *, bar: float | None, rounds: int = ROUNDS) -> str:
    """Return a JSON line of how long ``ask`` takes, in milliseconds."""
    walls, cpus = [], []
    for _ in range(rounds):
        began, worked = time.perf_counter(), time.process_time()
        ask()
        cpus.append(1e3 * (time.process_time() - worked))
        walls.append(1e3 * (time.perf_counter() - began))
    told = {"wall_ms": statistics.median(walls), "cpu_ms": statistics.median(cpus), "worst_ms": max(walls)}
    return json.dumps({"question": question, **{name: round(ms, 2) for name, ms in told.items()}, "bar_ms": bar})


def registering(size: Size) -> Iterator[str]:
    """Yield how long all features take to register in a new store, and again where they are registered."""
    features = declared(size, 7)
    with tempfile.TemporaryDirectory() as folder:
        stores = (open_registry(f"mlmd+sqlite://{folder}/{number}.db") for number in range(3))
        what = f"{size.features:,} features"
        yield measured(f"register {what}", lambda: next(stores).register(features), bar=3_000, rounds=3)
        known = open_registry(f"mlmd+sqlite://{folder}/0.db")
        yield measured(f"register {what} again", lambda: known.register(features), bar=3_000, rounds=3)


def searching(uri: str, size: Size) -> Iterator[str]:
    """Yield how long a page of 50 takes: the first of a process, which reads the features, and those after it."""
    draw = random.Random(1)
    anew = (open_registry(uri) for _ in range(3))
    yield measured(
        "search, the first page of a process", lambda: next(anew).search(Query(limit=50)), bar=None, rounds=3
    )
    known = open_registry(uri)
    known.search(Query(limit=50, online=False))
    for what, ask in questions(known, size, draw).items():
        yield measured(f"search, {what}", ask, bar=50)


def questions(known: Registry, size: Size, draw: random.Random) -> dict[str, Callable[[], object]]:
    """Return searches, each of which asks for something else every time."""

    def page(**asked: object) -> object:
        return known.search(Query(limit=50, **asked))

    return {
        "by text": lambda: page(text=f"days {draw.randrange(100)}"),
        "by entity and state": lambda: page(entity=f"entity{draw.randrange(20)}", life_cycle=draw.choice(STATES)),
        "by owner and tag": lambda: page(owner=f"team{draw.randrange(40)}", tag=f"tag{draw.randrange(30)}"),
        "by what is not online": lambda: page(online=False, scope="team"),
        "a later page": lambda: page(after=f"/entity{draw.randrange(20)}/producer1/family{draw.randrange(1000)}"),
        "by model": lambda: page(model=model_uri(draw.randrange(size.models))),
    }


def tracing(uri: str, size: Size) -> Iterator[str]:
    """Yield how long the questions to the lineage take, each time of another feature or model."""
    draw, source = random.Random(2), open_lineage(uri)
    names = [str(feature.name) for feature in declared(size, 7)]

    def model() -> str:
        return model_uri(draw.randrange(size.models))

    yield measured("features of a model", lambda: features_of(source, model()), bar=20)
    yield measured("models of a feature", lambda: models_of(source, draw.choice(names)), bar=150)
    yield measured("everything upstream of a model", lambda: upstream(source, *source.nodes_at(model())), bar=None)
    yield measured("training sets of a feature", lambda: training_sets_of(source, draw.choice(names)), bar=None)
    yield measured("the difference of two models", lambda: difference(source, model(), model()), bar=None)
    yield measured("what was made of 1,000 features", lambda: uses_of_each(source, names[:1000]), bar=None, rounds=3)
    yield measured("how much each feature is used", lambda: usage(source), bar=3_000, rounds=3)


def peers(uri: str, size: Size) -> Iterator[str]:
    """Yield how long ml-metadata's own lineage subgraph takes, where it has one: it went with release 1.17.

    It is asked for the same runs and artifacts: up from a model to its features, and down from a feature to its models.
    """
    from jukebox.stores.mlmd.library import MetadataStore, pb
    from jukebox.stores.mlmd.opening import connect

    if not hasattr(MetadataStore, "get_lineage_subgraph"):
        yield json.dumps({"question": "get_lineage_subgraph", "skipped": "this ml-metadata has none"})
        return
    store, draw = connect(uri, create=False), random.Random(2)
    names = [f"{feature.name}@1" for feature in declared(size, 7)]

    def subgraph(condition: str, direction: int, hops: int) -> object:
        options = pb.LineageSubgraphQueryOptions(max_num_hops=hops, direction=direction)
        options.starting_artifacts.filter_query = condition
        return store.call("get_lineage_subgraph", options)

    def up() -> object:
        return subgraph(f"uri = '{model_uri(draw.randrange(size.models))}'", pb.LineageSubgraphQueryOptions.UPSTREAM, 4)

    def down() -> object:
        condition = f"name = '{draw.choice(names)}'"
        return subgraph(condition, pb.LineageSubgraphQueryOptions.DOWNSTREAM, 4)

    yield measured("get_lineage_subgraph, up from a model", up, bar=None, rounds=5)
    yield measured("get_lineage_subgraph, down from a feature", down, bar=None, rounds=5)


def main() -> None:
    """Measure everything, one line after the other."""
    size = Size(models=int(sys.argv[1])) if len(sys.argv) > 1 else Size()
    STORES.mkdir(exist_ok=True)
    uri = f"mlmd+sqlite://{made(STORES, size)}"
    for lines in (tracing(uri, size), peers(uri, size), registering(size), searching(uri, size)):
        for line in lines:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
