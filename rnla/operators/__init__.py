"""Matrices as algorithms see them: products from both sides, and what else they can do."""
