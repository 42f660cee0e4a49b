"""How good predictions are: measures with intervals, comparison, calibration, survival; from tables, without torch."""
