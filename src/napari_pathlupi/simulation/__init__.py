"""Slides, transcriptomes and cohorts with a planted truth: for the demo, the tests and the benchmarks."""
