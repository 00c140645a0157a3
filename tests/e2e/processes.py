"""Child processes that cannot outlive the test run, and the supervisor that starts them again.

Every child gets SIGKILL when the thread that started it ends (setpriv --pdeathsig), so even a killed test run leaves nothing
behind. For that reason only the main thread and the supervisor's, which ends last, may start processes.
"""
import os
import signal
import subprocess
import threading
import time

SANITIZER_MARKS = ("ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer", "LeakSanitizer has encountered",
                   "WARNING: ThreadSanitizer", "CHECK failed")


def wait_for(condition, deadline_s=10, what="the condition", every_s=0.01):
    """Returns the first true value of condition(); fails the test after deadline_s. The error shows the last value."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {deadline_s} s; last value: {value!r}")
        time.sleep(every_s)


class Process:
    """One program that is started, killed and started again, with one log over all its lives."""

    def __init__(self, name, argv, env, log_path):
        self.name, self.argv, self.env, self.log_path = name, argv, env, log_path
        self.child = None
        self.expected_to_run = False
        self.unexpected_ends = []   # exit statuses of ends that nobody asked for
        self.lock = threading.RLock()

    def start(self):
        with self.lock, open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *self.argv], env=self.env,
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.expected_to_run = True

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child is not None and self.child.poll() is None

    def kill(self):
        """kill -9; with a supervisor it comes back by itself."""
        with self.lock:
            self.child.kill()
            self.child.wait()
            self.child.was_killed = True

    def end(self):
        """kill -9 for good."""
        with self.lock:
            self.expected_to_run = False
            if self.running():
                self.child.kill()
            if self.child is not None:
                self.child.wait()

    def terminate(self):
        """Asks it to stop, and does not wait."""
        with self.lock:
            self.expected_to_run = False
            if self.running():
                self.child.terminate()

    def wait(self, deadline_s=15):
        """The exit status; -9 after the deadline, when it is killed."""
        try:
            return self.child.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            return f"no end within {deadline_s} s of SIGTERM"

    def signal(self, number):
        self.child.send_signal(number)

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def sanitizer_report(self):
        """The part of the log from the first report of a sanitizer or a failed CHECK, or None."""
        text = self.log()
        starts = [text.find(mark) for mark in SANITIZER_MARKS if mark in text]
        return text[max(0, min(starts) - 300):min(starts) + 5000] if starts else None


class Supervisor:
    """Watches processes; whoever ends unasked is noted and, when asked to, started again at once."""

    def __init__(self, restart):
        self.restart = restart
        self.processes = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def watch(self, process):
        self.processes.append(process)

    def _run(self):
        while not self.stopped.wait(0.02):
            for process in list(self.processes):
                self._look_after(process)

    def _look_after(self, process):
        with process.lock:
            if not process.expected_to_run or process.running():
                return
            if not getattr(process.child, "was_killed", False):
                process.unexpected_ends.append(process.child.returncode)
            if self.restart:
                process.start()
            else:
                process.expected_to_run = False

    def stop(self):
        """Only when no process that it started must live on."""
        self.stopped.set()
        self.thread.join()


def children_of(pid):
    """Process ids of the direct children."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                    if int(stat.read().rpartition(")")[2].split()[1]) == pid:
                        found.append(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found


def signal_tree(pid, number):
    """Sends a signal to a process and its children."""
    for target in [pid, *children_of(pid)]:
        try:
            os.kill(target, number)
        except ProcessLookupError:
            pass


def kill_tree(pid, deadline_s=10):
    """kill -9 of a process and its children, and until none of them is there: what they share is free then."""
    targets = [pid, *children_of(pid)]
    signal_tree(pid, signal.SIGKILL)
    wait_for(lambda: all(ended(target) for target in targets), deadline_s, f"process {pid} and its children have ended")


def ended(pid):
    """Gone, or waiting to be reaped."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


STOP, CONTINUE = signal.SIGSTOP, signal.SIGCONT
