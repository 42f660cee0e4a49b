"""TILES -> VECTORS. A name is a file: `napari_pathlupi.catalogue.patch_encoders`."""
