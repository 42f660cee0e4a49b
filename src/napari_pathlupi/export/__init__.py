"""RESULTS -> FILES. A name is a file: `napari_pathlupi.catalogue.exports`."""
