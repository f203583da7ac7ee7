"""Lets ``python -m fastmlp.cli`` stand for the command ``fastmlp``."""

from . import main

main()
