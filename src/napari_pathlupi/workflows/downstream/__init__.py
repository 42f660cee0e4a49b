"""WHAT AN EMBEDDING IS GOOD FOR: probes, prompts, retrieval, benchmarks, and heads to predict with."""
