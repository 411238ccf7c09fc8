"""How much an approximation from one pass gains with the numbers that it may keep [tropp2019].

    python examples/streaming_storage.py [folder for the picture]

The matrices are those of the paper: ten ones on the diagonal, then noise or a decay.  Errors are relative to the
best of rank 10: 1.0 would be that best itself.  At equal storage the two sketches of 2017 and the three of 2019 are
compared, the sizes of both by their rule of thumb.
"""

import os
import sys

import numpy as np

import rnla

RANK = 10


def matrices(n: int) -> dict[str, np.ndarray]:
    """Return the test matrices by name."""
    head, j = np.ones(RANK), np.arange(1.0, n - RANK + 1)
    noise = np.random.default_rng(0).standard_normal((n, n))
    return {
        "noise 1e-2": np.diag(np.r_[head, np.zeros(n - RANK)]) + 1e-2 / n * noise @ noise.T,
        "j^(-1/2)": np.diag(np.r_[head, (j + 1) ** -0.5]),
        "10^(-j/100)": np.diag(np.r_[head, 10 ** (-j / 100)]),
        "10^(-j/4)": np.diag(np.r_[head, 10 ** (-j / 4)]),
    }


def main() -> None:
    small = os.environ.get("RNLA_EXAMPLE_SMALL") == "1"
    n, runs = (200, 2) if small else (1000, 5)
    budgets = [48 * n, 96 * n] if small else [36 * n, 48 * n, 68 * n, 96 * n, 136 * n, 192 * n]
    methods = {"SketchySVD": rnla.SketchySVD(), "RangeCorange": rnla.RangeCorange()}
    found: dict[str, dict[str, list[float]]] = {}
    for name, A in matrices(n).items():
        best = float(np.linalg.norm(np.linalg.svd(A, compute_uv=False)[RANK:]))
        print(f"\n{name}\n  numbers kept  " + "  ".join(f"{budget:>8}" for budget in budgets))
        found[name] = {}
        for title, method in methods.items():
            errors = []
            for budget in budgets:
                squares = []
                for seed in range(runs):
                    result = rnla.single_pass_svd(A, RANK, method=method, storage=budget + 10 * n, rng=seed)
                    squares.append(np.linalg.norm(A - result.as_operator().to_array()) ** 2)
                errors.append(float(np.sqrt(np.mean(squares))) / best)
            found[name][title] = errors
            print(f"  {title:<14}" + "  ".join(f"{error:8.3f}" for error in errors))
    if len(sys.argv) > 1:
        draw(found, budgets, os.path.join(sys.argv[1], "streaming_storage.png"))


def draw(found: dict[str, dict[str, list[float]]], budgets: list[int], path: str) -> None:
    """Draw a panel for each matrix."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(found), figsize=(12, 3), sharey=True, layout="constrained")
    for panel, (name, curves) in zip(panels, found.items(), strict=True):
        for title, errors in curves.items():
            panel.loglog(budgets, np.maximum(np.array(errors) - 1, 1e-6), marker="o", label=title)
        panel.set(title=name, xlabel="numbers kept")
        panel.minorticks_off()
        panel.set_xticks(budgets[::2], [f"{budget / 1000:g}k" for budget in budgets[::2]])
    panels[0].set_ylabel("error over the best, minus 1")
    panels[0].legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
