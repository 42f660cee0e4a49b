"""WHAT AN ANSWER MEANS. A name is a file: `napari_pathlupi.catalogue.tasks`."""
