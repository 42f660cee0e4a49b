"""THE VERBS: tile, embed, train, predict."""
