"""A covariance that drifts: two sensors' machines sketch their part of a stream, merge, forget, and are interrupted.

    python examples/streaming_covariance.py

Samples x arrive in batches; the matrix sum of x x^T over all of them, weighted by age, is never formed.  Its leading
directions turn half way, and forgetting lets the sketch follow.
"""

import os
import tempfile

import numpy as np

import rnla


def batch(rng: np.random.Generator, basis: np.ndarray, size: int) -> np.ndarray:
    """Return samples near the span of a basis, one in a row."""
    directions = basis * np.array([5.0, 4.0, 3.0])
    return rng.standard_normal((size, 3)) @ directions.T + 0.1 * rng.standard_normal((size, len(basis)))


def overlap(found: np.ndarray, basis: np.ndarray) -> float:
    """Return the cosine of the largest angle between two subspaces."""
    return float(np.linalg.svd(found.T @ basis, compute_uv=False).min())


def main() -> None:
    small = os.environ.get("RNLA_EXAMPLE_SMALL") == "1"
    n, size, batches = (300, 50, 8) if small else (4000, 200, 20)
    rng = np.random.default_rng(0)
    before, after = (np.linalg.qr(rng.standard_normal((n, 3)))[0] for _ in range(2))

    print(f"The covariance has {n * n} entries.  What is kept of it:")
    left, right = (
        rnla.stream((n, n), 6, method=rnla.NystromSketch(), forget=0.5, error_columns=30, rng=7) for _ in range(2)
    )
    print(left, "\n")
    for step in range(batches):
        for run in (left, right):
            x = batch(rng, before if step < batches // 2 else after, size)
            run.update((x.T, x), eta=1 / size)
        if step == batches // 2 - 1:
            with tempfile.TemporaryDirectory() as folder:
                left.save(os.path.join(folder, "left.npz"))
                left = rnla.Stream.load(os.path.join(folder, "left.npz"))
            close = overlap(left.copy().merge(right).finish().U[:, :3], before)
            print(f"after {step + 1} batches the first half's directions are found to cos {close:.6f}")
    result = left.merge(right).finish()
    print(
        f"at the end those of the second half, to cos {overlap(result.U[:, :3], after):.6f}; the first half's weigh "
        f"{0.5 ** (batches - batches // 2):.2f}\n"
    )
    print(result)

    scree = left.scree()
    print("\nrank   what the rank leaves, at least and at most, of the norm")
    for r in range(0, 7, 2):
        print(f"{r:4}   {scree.lower[r]:.4f}   {scree.upper[r]:.4f}")


if __name__ == "__main__":
    main()
