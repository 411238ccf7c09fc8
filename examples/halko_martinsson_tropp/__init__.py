"""The experiments of section 7 of Halko, Martinsson and Tropp (2011), run by the library.

Each script draws one figure and checks its shape:

    python -m examples.halko_martinsson_tropp.figure_7_2 [--small] [--out FOLDER]
    python -m examples.halko_martinsson_tropp [--small] [--out FOLDER]             # all of them

| script             | figure                                                                            |
|--------------------|-----------------------------------------------------------------------------------|
| `figure_7_2`       | the adaptive range finder on an exponentially decaying spectrum                   |
| `figure_7_3`       | the error estimate against the error, over many trials                            |
| `figure_7_4`       | the same on a lattice of resistors, known by its products alone                   |
| `figure_7_5`       | power iterations on a graph Laplacian of image patches, whose spectrum is slow    |
| `figure_7_6`       | power iterations on a dense matrix of centred data                                |
| `figure_7_7`       | times of four ways to a partial factorization of a dense matrix                   |
| `figure_7_8`       | the error by the kind of the test matrix, over many trials                        |
| `error_and_passes` | not in the paper: what each read of the matrix buys, by method and spectrum       |

Where the paper does not print what is needed (the contours of 7.2, the image of 7.5), the script says what it takes
instead.  Timings are reported, never checked.
"""
