"""Fixtures. A run has one PostgreSQL cluster (TIFFIN_TEST_DATABASE_URL, or one of its own); a test module has one stack, whose
options it sets in STACK. With pytest-xdist all tests of a module stay on one worker."""
import os
import shutil
import signal
import subprocess
import tempfile

import pytest

from stack import Stack
from stores import PG_CLUSTER

TEST_DEADLINE_S = 75
# The longest first, so that no worker is left with one at the end.
FIRST = ("test_crash", "test_outage", "test_money", "test_drain")


def pytest_configure(config):
    """Once per run, not per worker: a directory for everything, and a cluster when there is none."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    config.run_directory = tempfile.mkdtemp(prefix="tiffin-e2e-")
    os.chmod(config.run_directory, 0o755)  # a private PostgreSQL runs as another user
    os.environ["TIFFIN_E2E_DIR"] = config.run_directory
    config.has_cluster = not os.environ.get("TIFFIN_TEST_DATABASE_URL")
    if config.has_cluster:
        started = subprocess.run([PG_CLUSTER, "start", config.run_directory], check=True, stdout=subprocess.PIPE, text=True)
        os.environ["TIFFIN_TEST_DATABASE_URL"] = started.stdout.strip().partition("=")[2]


def pytest_unconfigure(config):
    """Also after Ctrl-C, when xdist has ended its workers in the middle of a test: their processes have died with them."""
    directory = getattr(config, "run_directory", None)
    if directory:
        if config.has_cluster:
            subprocess.run([PG_CLUSTER, "stop", directory], check=False)
        shutil.rmtree(directory, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadFileScheduling
    return LoadFileScheduling(config, log)


def pytest_collection_modifyitems(items):
    def rank(item):
        name = item.module.__name__
        return FIRST.index(name) if name in FIRST else len(FIRST)
    items.sort(key=rank)


def _too_long(_number, _frame):
    raise TimeoutError(f"the test took longer than {TEST_DEADLINE_S} s")


def _terminated(_number, _frame):
    raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def bounded_in_time():
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGTERM, _terminated)
    signal.alarm(TEST_DEADLINE_S)
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The logs of the stacks that a failed test used, beside its traceback."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for value in item.funcargs.values():
            if isinstance(value, Stack):
                lines = []
                for path in value.logs():
                    tail = path.read_text(errors="replace").splitlines()[-25:]
                    lines += [f"---- {path.name}", *tail] if tail else []
                report.sections.append(("Logs of the stack", "\n".join(lines)))


@pytest.fixture(scope="module")
def stack(request):
    """The stack of a module."""
    made = Stack(**getattr(request.module, "STACK", {}))
    yield made
    made.close()
