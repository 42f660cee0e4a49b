"""THE VERBS: in rooms along the path of the data: cases, embedding, prediction, training, pretraining, downstream."""
