"""What setup.cfg cannot say: models/ and solvers/ are installed as parts of the package."""

from pathlib import Path

from setuptools import find_packages, setup

FOLDERS = {"caffelite.models": "models", "caffelite.solvers": "solvers"}
NETS = [f"caffelite.models.{net.parent.name}" for net in sorted(Path("models").glob("*/net.py"))]

setup(packages=[*find_packages(include=["caffelite*"]), *FOLDERS, *NETS], package_dir=FOLDERS)
