"""`python -m stress`: the command line, where its script is not on the path."""

from stress.cli.entry import main

if __name__ == "__main__":
    main()
