"""`python -m embedseg.cli`."""

from embedseg.cli import main

main()
