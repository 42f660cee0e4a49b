"""FEATURES -> ANSWERS: models, one fold or many, over a bag in memory or streamed."""
