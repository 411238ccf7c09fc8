"""From the compressed form to the factors: deterministic, small, dense; and the public functions."""
