"""python -m ptheta, as torchrun starts it."""

from ptheta.cli import main

if __name__ == "__main__":
    main()
