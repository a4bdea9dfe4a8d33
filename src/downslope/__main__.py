"""`python -m downslope` is the command."""

try:
    from downslope.cli import main

    main()
except KeyboardInterrupt:  # while even the command itself was being loaded
    raise SystemExit(130) from None
