"""Slide encoders of others that make an embedding of a bag: a file each, see `_external`."""
