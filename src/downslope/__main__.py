"""`python -m downslope` is the command."""

from downslope.cli import main

main()
