"""Benchmarks, one question a file; `cases` is the one list of matrices."""
