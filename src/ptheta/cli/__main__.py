"""python -m ptheta.cli"""

from ptheta.cli import main

main()
