"""All the pictures of robust PCA, one after another.

    python -m examples.robust [--small] [--out FOLDER]

A few minutes on one core, some ten seconds with --small.
"""

from examples import robust
from examples.pictures import style

if __name__ == "__main__":
    style.command_line(__doc__, style.all_of(robust))
