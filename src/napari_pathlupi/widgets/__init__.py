"""QT AND NAPARI, nowhere else."""
