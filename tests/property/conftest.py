"""Fixtures: a PostgreSQL cluster for the run (TIFFIN_TEST_DATABASE_URL, or one of its own), a database per module."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parent))
from world import SEED, World  # noqa: E402
from stores import Database  # noqa: E402

PG_CLUSTER = pathlib.Path(__file__).resolve().parents[1] / "support" / "pg-cluster.sh"


def pytest_configure(config):
    if hasattr(config, "workerinput") or config.option.collectonly or os.environ.get("TIFFIN_TEST_DATABASE_URL"):
        return
    config.cluster_directory = tempfile.mkdtemp(prefix="tiffin-property-")
    os.chmod(config.cluster_directory, 0o755)
    started = subprocess.run([PG_CLUSTER, "start", config.cluster_directory], check=True, stdout=subprocess.PIPE, text=True)
    os.environ["TIFFIN_TEST_DATABASE_URL"] = started.stdout.strip().partition("=")[2]


def pytest_unconfigure(config):
    directory = getattr(config, "cluster_directory", None)
    if directory:
        subprocess.run([PG_CLUSTER, "stop", directory], check=False)
        shutil.rmtree(directory, ignore_errors=True)


def pytest_report_header():
    return f"PROPERTY_SEED={SEED}"


@pytest.fixture(scope="module")
def world():
    made = World()
    yield made
    made.drop()


@pytest.fixture(scope="module")
def database():
    """One of the module's own, migrated and empty."""
    made = Database(os.environ["TIFFIN_TEST_DATABASE_URL"])
    yield made
    made.drop()
