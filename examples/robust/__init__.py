"""A matrix as low rank plus outliers: pictures of `rnla.robust_pca`.

Each script draws one figure and checks what it claims:

    python -m examples.robust.background [--small] [--out FOLDER]
    python -m examples.robust [--small] [--out FOLDER]             # all of them

| script       | what it shows                                                                                   |
|--------------|-------------------------------------------------------------------------------------------------|
| `background` | a video parted into its background and what moves, in memory and from a file                    |
| `phase`      | for which ranks and shares of outliers each method finds L                                      |
| `times`      | time and entries read as the matrix grows, up to one that is never formed                       |

All data are generated, and called so.  Timings are reported, never checked.
"""
