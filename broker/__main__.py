"""`python -m broker`, the same as the command `broker`."""

from broker.cli import main

if __name__ == "__main__":
    main()
