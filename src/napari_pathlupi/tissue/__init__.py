"""Mask algorithms: glass, tissue and pen, from a thumbnail. scipy.ndimage only."""
