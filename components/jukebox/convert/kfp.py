"""The KFP face of convert."""

from typing import Optional

from kfp import dsl

from jukebox.images import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def convert(
    source: dsl.Input[dsl.Artifact],
    converted: dsl.Output[dsl.Dataset],
    from_format: Optional[str] = None,
    to_format: Optional[str] = None,
    columns: Optional[list] = None,
    types: Optional[dict] = None,
    rows_per_file: int = 1_000_000,
):
    """Converts files of one storage format into a folder of files of another, lossless or refused.

    Args:
        source: A file, or a folder of them.
        converted: The folder of files, with a manifest.
        from_format: The format of the source, where its files do not tell; STORAGE_FORMAT_TF_EXAMPLE or tfrecord.
        to_format: The format to write.
        columns: The columns to keep; by default all.
        types: Column to data type, of what a format does not tell, such as text in records.
        rows_per_file: How many rows each file has; by default 1,000,000.
    """
    from jukebox import convert

    manifest = convert.run(
        source=source.path,
        out=converted.path,
        from_format=from_format,
        to_format=to_format,
        columns=columns,
        types=types,
        rows_per_file=rows_per_file,
    )
    converted.metadata.update(manifest.facts)
