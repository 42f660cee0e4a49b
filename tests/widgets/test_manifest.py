from pathlib import Path

from npe2 import PluginManifest

import napari_pathlupi

MANIFEST = Path(napari_pathlupi.__file__).with_name("napari.yaml")


def test_the_manifest_is_valid_and_all_it_names_can_be_imported() -> None:
    manifest = PluginManifest.from_file(MANIFEST)
    manifest.validate_imports()


def test_napari_finds_the_plugin_by_its_entry_point() -> None:
    manifest = PluginManifest.from_distribution("napari-pathlupi")
    assert manifest.display_name == "PathLUPI"
    assert manifest.contributions.readers and manifest.contributions.widgets


def test_the_reader_claims_every_suffix_that_a_format_knows() -> None:
    from napari_pathlupi.catalogue import formats

    claimed = set(PluginManifest.from_file(MANIFEST).contributions.readers[0].filename_patterns)
    known = {f"*{suffix}" for name in formats for suffix in formats[name].suffixes}
    assert known <= claimed
