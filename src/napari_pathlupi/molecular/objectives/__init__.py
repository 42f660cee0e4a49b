"""What ties a slide embedding to its transcriptome. A name is a file: `napari_pathlupi.catalogue.objectives`."""
