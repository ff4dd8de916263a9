"""A metadata store as Kubeflow Pipelines v2 leaves it, written through any MetadataStore.

After the driver and the launcher of KFP: contexts ``system.Pipeline`` and ``system.PipelineRun``, the latter a child of
the former; executions ``system.DAGExecution`` and ``system.ContainerExecution`` with their task in custom properties;
artifacts by schema title, ``system.Dataset``, ``system.Model``, each with a URI below the pipeline's root; events with
one step, the artifact's name in that task. A DAG has input events alone, and a cached task a new execution of its own.
"""

from __future__ import annotations

from jukebox.stores.mlmd.library import MetadataStore, pb

ROOT = "gs://bucket/root"


class Kfp:
    """Writes one run of one pipeline."""

    def __init__(self, store: MetadataStore, run: str = "11111111-1111-4111-8111-111111111111") -> None:
        self.store, self.run_id = store, run
        pipeline, own = (
            store.put_context_type(pb.ContextType(name=name)) for name in ("system.Pipeline", "system.PipelineRun")
        )
        there = store.get_context_by_type_and_name("system.Pipeline", "training")
        parent = pb.Context(type_id=pipeline, name="training") if there is None else there
        if there is None:
            (parent.id,) = store.put_contexts([parent])
        child = pb.Context(type_id=own, name=run)
        for key, text in {"namespace": "kubeflow", "pipeline_root": f"{ROOT}/training/{run}"}.items():
            child.custom_properties[key].string_value = text
        (child.id,) = store.put_contexts([child])
        store.put_parent_contexts([pb.ParentContext(child_id=child.id, parent_id=parent.id)])
        self._contexts = [parent, child]
        self.dag = self.task("root", {}, {}, kind="system.DAGExecution", name=f"run/{run}")[0]

    def task(
        self,
        task: str,
        inputs: dict[str, int],
        outputs: dict[str, object],
        *,
        state: int = pb.Execution.COMPLETE,
        kind: str = "system.ContainerExecution",
        name: str | None = None,
    ) -> tuple[int, list[int]]:
        """Write a task that read artifacts by id; an output is a schema title, or the id of one that is reused."""
        type_id = self.store.put_execution_type(pb.ExecutionType(name=kind))
        execution = pb.Execution(type_id=type_id, last_known_state=state)
        if name is not None:
            execution.name = name
        for key, text in {"task_name": task, "display_name": task, "image": "jukebox", "pod_name": f"{task}-1"}.items():
            execution.custom_properties[key].string_value = text
        if kind == "system.ContainerExecution":
            execution.custom_properties["parent_dag_id"].int_value = self.dag
            execution.custom_properties["inputs"].struct_value.fields["registry"].string_value = "mlmd+grpc://…"
        pairs = [self._pair(artifact, pb.Event.INPUT, channel) for channel, artifact in inputs.items()]
        for channel, made in outputs.items():
            pairs.append(
                self._pair(made if isinstance(made, int) else self._new(task, channel, made), pb.Event.OUTPUT, channel)
            )
        run, ids, _ = self.store.put_execution(execution, pairs, self._contexts)
        return run, ids[len(inputs) :]

    def place(self, task: str, channel: str) -> str:
        """Return where a task's output lies, below the root."""
        return f"training/{self.run_id}/{task}/{channel}"

    def _new(self, task: str, channel: str, schema: str) -> pb.Artifact:
        type_id = self.store.put_artifact_type(pb.ArtifactType(name=schema))
        uri = f"{ROOT}/{self.place(task, channel)}"
        artifact = pb.Artifact(type_id=type_id, uri=uri, state=pb.Artifact.LIVE)
        artifact.custom_properties["display_name"].string_value = channel
        return artifact

    def _pair(self, artifact: object, kind: int, channel: str) -> tuple[pb.Artifact, pb.Event]:
        if isinstance(artifact, int):
            (artifact,) = self.store.get_artifacts_by_id([artifact])
        event = pb.Event(type=kind)
        event.path.steps.add().key = channel
        return artifact, event
