"""BAGS -> EMBEDDING AND ATTENTION. A name is a file: `napari_pathlupi.catalogue.slide_encoders`."""
