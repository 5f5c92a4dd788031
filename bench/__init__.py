"""Benchmarks: each module is a program (`python -m bench.boot`) that measures one thing and prints it."""
