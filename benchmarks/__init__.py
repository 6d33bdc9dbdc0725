"""Benchmarks: each measures both sides of a claim in one go, side by side; none of them is a test."""
