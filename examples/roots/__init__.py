"""What a root that follows its matrix is good for: pictures of `rnla.sqrtm_update`.

Each script draws one figure and checks what it claims:

    python -m examples.roots.whitening [--small] [--out FOLDER]
    python -m examples.roots [--small] [--out FOLDER]             # all of them

| script           | what it shows                                                                               |
|------------------|---------------------------------------------------------------------------------------------|
| `decay`          | why a correction of small rank is enough, and how fast each method gets there               |
| `sampling`       | noise with a covariance, or with a precision matrix, whose dense root would not fit         |
| `whitening`      | features of handwritten digits, whitened by the covariance of a sliding window              |
| `preconditioner` | fourth roots of a preconditioner that follow the gradients instead of being computed anew   |

What is generated is called generated.  Timings are reported, never checked.
"""
