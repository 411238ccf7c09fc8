"""All the pictures of roots, one after another.

    python -m examples.roots [--small] [--out FOLDER]

A few minutes on one core, some ten seconds with --small.
"""

from examples import roots
from examples.pictures import style

if __name__ == "__main__":
    style.command_line(__doc__, style.all_of(roots))
