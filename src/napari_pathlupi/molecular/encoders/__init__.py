"""RNA AND DNA -> VECTORS. A name is a file: `napari_pathlupi.catalogue.molecular_encoders`."""
