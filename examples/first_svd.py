"""A first factorization: to a tolerance, with a certificate, then more of it and less of it.

    python examples/first_svd.py

The matrix is a smooth kernel between points of two intervals that almost touch: full in memory, of low
rank to every accuracy that doubles can hold.
"""

import os

import numpy as np

import rnla


def main() -> None:
    small = os.environ.get("RNLA_EXAMPLE_SMALL") == "1"
    m, n = (400, 300) if small else (4000, 3000)
    x, y = np.linspace(0, 1, m), np.linspace(1.01, 2, n)
    A = 1 / np.abs(np.subtract.outer(x, y))

    print("What would be done, before anything is:")
    print(rnla.plan(A, tol=1e-6), "\n")

    result = rnla.svd(A, tol=1e-6, rng=0)
    print(result, "\n")

    U, s, Vh = result
    true = np.linalg.norm(A - (U * s) @ Vh) / np.linalg.norm(A)
    print(f"the certificate says {result.error.value:.2e}; the error, computed in full, is {true:.2e}\n")

    more = result.extend(tol=1e-10)
    print(f"to 1e-10: rank {more.rank}, {more.report.products} further products, error {more.error.value:.1e}")
    less = more.truncate(tol=1e-2)
    print(f"to 1e-2:  rank {less.rank}, without touching the matrix, error {less.error.value:.1e}")

    v = np.random.default_rng(0).standard_normal((n, 1))
    gap = np.linalg.norm(A @ v - more.as_operator() @ v) / np.linalg.norm(A @ v)
    print(f"a product through the factors differs by {gap:.1e} and costs {m * n // (more.rank * (m + n))} times less")


if __name__ == "__main__":
    main()
