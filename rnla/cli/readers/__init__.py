"""One file a format: each opens one kind of untrusted matrix file, checking its header before any allocation.

Problem: a matrix file may come from anywhere.  A reader must not run code from it, not crash on it, not allocate
what a lying header asks for, not follow it to other files, and not pass a damaged file off as a sound one.

To add a format: write one module here with a function ``open_<format>(path, *, dataset, budget)`` that returns an
`OpenedMatrix`, and one line in the table of `rnla.cli.files`.
"""
