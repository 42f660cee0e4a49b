"""SLIDES -> FEATURES: tile and embed one slide or a cohort of them, here or on a cluster."""
