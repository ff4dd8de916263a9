"""The flights' producer as a KFP component."""

from kfp import dsl

from jukebox.images import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def flight_sources(sources: dsl.Output[dsl.Artifact], labels: dsl.Output[dsl.Artifact]):
    """Writes the labels and the dated feature sources of the flights example.

    Args:
        sources: The folder that the data endpoints of features.yaml lie in.
        labels: Every flight at its scheduled departure.
    """
    from jukebox.examples.flights import sources as producer

    producer.run(out=sources.path, labels=labels.path)
