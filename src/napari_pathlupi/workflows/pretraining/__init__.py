"""EMBEDDINGS LEARNED from slides and molecular profiles."""
