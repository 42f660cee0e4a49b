"""RNA and DNA: tables, gene sets, scaling and the molecular objectives of training."""
