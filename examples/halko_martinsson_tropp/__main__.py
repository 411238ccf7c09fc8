"""All the experiments, one after another.

    python -m examples.halko_martinsson_tropp [--small] [--out FOLDER]

A few minutes on one core, some ten seconds with --small.
"""

from examples import halko_martinsson_tropp
from examples.pictures import style

if __name__ == "__main__":
    style.command_line(__doc__, style.all_of(halko_martinsson_tropp))
