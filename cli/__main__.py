"""Makes ``python -m fastmlp.cli`` the command ``fastmlp``."""

from . import main

main()
