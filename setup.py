"""What setup.cfg cannot say: models/ and solvers/ are installed as parts of the package."""

from setuptools import find_packages, setup

FOLDERS = {"caffelite.models": "models", "caffelite.solvers": "solvers"}

setup(packages=[*find_packages(include=["caffelite*"]), *FOLDERS], package_dir=FOLDERS)
