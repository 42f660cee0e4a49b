"""ANSWERS LEARNED: a training, a study of all its folds, and what its predictions are worth."""
