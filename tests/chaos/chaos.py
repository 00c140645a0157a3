"""One run: a whole Tiffin under load while its parts are killed, stopped and cut off as the seed says; then everything is mended,
and what must hold is checked."""
import os
import shutil
import signal
import threading
import time

from processes import CONTINUE, STOP, kill_tree, signal_tree
from stack import Stack
from stores import DatabaseError

import checks
from clients import NO_ANSWER, Record, Shopper, Subscriber, Watcher
from plan import LOAD_S, PSPS, SCALE, Plan

SHOPPERS = 5
ANSWER_WITHIN_S = 30  # after everything was mended
QUIET_WITHIN_S = 40
SETTINGS = {"PARK_FOR_S": 60, "PSP_TIMEOUT_MS": 1000}


class Run:
    def __init__(self, seed, cluster):
        self.plan = Plan(seed)
        self.cluster = cluster
        self.record = Record()
        self.counts = {"kill": 0, "stop": 0, "term": 0, "crash": 0, "redis": 0, "postgres": 0, "freeze": 0}
        self.points_hit = []
        self.armed = []        # (process, its ends until then, point)
        self.resume_at = []    # (when, process)
        self.began = time.monotonic()
        self.stack = None

    def carry_out(self):
        """The findings. The stack's directory is kept when there are any."""
        env = SETTINGS | {"RECONCILE_INTERVAL_S": 1 if self.plan.reconciles else 86400}
        self.stack = Stack(scale=SCALE, supervise=True, env=env)
        try:
            if not self.plan.reconciles: # nothing is due by itself: a reconciler that starts looks at once, whatever its interval
                self.stack.psql("ALTER TABLE payments ALTER COLUMN next_check_at DROP DEFAULT")
            findings = self._load_and_check()
            self.events = int(self.stack.psql("SELECT count(*) FROM outbox")[0][0])
            if findings.all():
                self.keep()
            return findings
        except BaseException:
            self.keep()
            raise
        finally:
            self.stack.destroy()

    def keep(self):
        """What is needed to look into a failure: logs, and a copy of the database."""
        self.kept = f"{self.stack.directory}-kept"
        os.makedirs(self.kept, exist_ok=True)
        for path in self.stack.directory.glob("*.log"):
            shutil.copy(path, self.kept)
        with open(os.path.join(self.kept, "plan"), "w", encoding="utf-8") as text:
            text.write("\n".join(map(str, [*self.plan.faults, *self.plan.simulator])))
        try:
            for table in ("orders", "payments", "facts", "fact_observations", "refunds", "inbox", "outbox", "audit_ledger",
                          "discrepancies", "idempotency_keys"):
                rows = self.stack.psql(f"SELECT row_to_json(t) FROM {table} t")
                with open(os.path.join(self.kept, f"{table}.json"), "w", encoding="utf-8") as text:
                    text.write("\n".join(row[0] for row in rows))
            with open(os.path.join(self.kept, "book.json"), "wb") as text:
                text.write(self.stack.sim.get("/_sim/book").body)
        except (DatabaseError, *NO_ANSWER):
            pass

    # ---- load and faults ----

    def _load_and_check(self):
        stopping, screens_off = threading.Event(), threading.Event()
        shoppers = [Shopper(self.stack, self.record, self.plan, number, stopping) for number in range(SHOPPERS)]
        subscribers = [Subscriber(self.stack, self.plan, shopper.user, screens_off) for shopper in shoppers[:3]]
        watcher = Watcher(self.stack, self.record, self.plan, stopping)
        for thread in (*shoppers, *subscribers, watcher):
            thread.start()
        self._break_things()
        stopping.set()
        self._mend()
        for shopper in shoppers:
            shopper.answer_until = time.monotonic() + ANSWER_WITHIN_S
        for shopper in shoppers:
            shopper.join(ANSWER_WITHIN_S + 30)
            if shopper.is_alive():
                self.record.problem(f"{shopper.name} hangs")
        watcher.join(20)
        self._wait_until_quiet(subscribers)
        screens_off.set()
        for subscriber in subscribers:
            subscriber.join(20)
        self._count_points()
        return checks.check(self.stack, self.record, subscribers)

    def _break_things(self):
        began = time.monotonic()
        faults, changes = list(self.plan.faults), list(self.plan.simulator)
        while (now := time.monotonic() - began) < LOAD_S or faults:
            self._resume_due()
            if changes and changes[0][0] <= now:
                _, psp, fault = changes.pop(0)
                self.stack.faults(psp, **fault)
            elif faults and faults[0].at <= now:
                fault = faults.pop(0)
                getattr(self, f"_{fault.what}")(fault)
                self.counts[fault.what] += 1
            else:
                time.sleep(0.01)

    def _kill(self, fault):
        process = self.stack.processes[fault.target]
        with process.lock:
            if process.running():
                process.kill()

    def _term(self, fault):
        """Ends in order; the supervisor starts it again."""
        process = self.stack.processes[fault.target]
        with process.lock:
            if process.running():
                process.child.was_killed = True
                process.child.terminate()

    def _stop(self, fault):
        process = self.stack.processes[fault.target]
        with process.lock:
            if process.running():
                process.signal(STOP)
                self.resume_at.append((time.monotonic() + fault.for_s, process))

    def _crash(self, fault):
        """Starts the process anew with a point armed; it dies there by itself, and comes back without."""
        process = self.stack.processes[fault.target]
        with process.lock:
            if process.running():
                process.kill()
            ends = len(process.unexpected_ends)
            plain = process.env
            process.env = plain | {"TIFFIN_CRASH_AT": f"{fault.point}:{fault.count}"}
            process.start()
            process.env = plain
            self.armed.append((process, process.child, ends, fault.point))

    def _redis(self, fault):
        self.stack.redis.kill()
        time.sleep(fault.for_s)
        self.stack.redis.start()

    def _postgres(self, fault):
        """All its processes at once, as when the machine loses power; what was committed is on disk."""
        process = self.cluster.process
        process.expected_to_run = False
        kill_tree(process.pid)  # also when it is frozen
        process.child.wait()
        time.sleep(fault.for_s)
        self.cluster.start()

    def _freeze(self, fault):
        """A store that is there and does not answer."""
        process = self.stack.redis.process if fault.target == "redis" else self.cluster.process
        signal_tree(process.pid, STOP)
        self.resume_at.append((time.monotonic() + fault.for_s, process))

    def _resume_due(self, everything=False):
        for entry in list(self.resume_at):
            due, process = entry
            if everything or due <= time.monotonic():
                self.resume_at.remove(entry)
                signal_tree(process.pid, CONTINUE)

    # ---- afterwards ----

    def _mend(self):
        while self.resume_at and min(due for due, _ in self.resume_at) > time.monotonic():
            self._resume_due()
            time.sleep(0.02)
        self._resume_due(everything=True)
        for psp in PSPS:
            self.stack.faults(psp)
        self.stack.wait_until_ready(30)

    def _busy(self, subscribers):
        """What is still on its way; None when nothing is."""
        if self.stack.stream_state() != (0, 0):
            return "the stream"
        # The bank's own time: what it is asked about later is asked about now.
        self.stack.psql("""UPDATE refunds SET next_call_at = now() WHERE refund_id IN (
            SELECT refund_id FROM refunds WHERE next_call_at > now() + interval '2 s' FOR NO KEY UPDATE SKIP LOCKED)""")
        self.stack.psql("""UPDATE payments SET capture_next_at = now() WHERE payment_id IN (
            SELECT payment_id FROM payments WHERE capture_next_at > now() + interval '2 s' AND capture_action IS NOT NULL
               AND authorization_count > 0 AND capture_count = 0 AND void_count = 0 FOR NO KEY UPDATE SKIP LOCKED)""")
        for what, sql in (("captures and voids", f"SELECT count(*) FROM payments WHERE {checks.BEING_TOLD}"),
                          ("parked webhooks", "SELECT count(*) FROM inbox WHERE outcome = 'parked'"),
                          ("refunds", "SELECT count(*) FROM refunds WHERE next_call_at IS NOT NULL")):
            if (count := self.stack.psql(sql)[0][0]) != "0":
                return f"{count} {what}"
        if difference := checks.book_difference(self.stack):
            return f"the bank's book: {len(difference)} payments differ"
        newest = dict(self.stack.psql("SELECT user_id, max(event_id) FROM outbox GROUP BY 1"))
        for subscriber in subscribers:
            if subscriber.last < int(newest.get(subscriber.user, 0)):
                return subscriber.name
        return None

    def _wait_until_quiet(self, subscribers):
        """Twice in a row: between two looks something may be on its way that neither sees."""
        end, quiet = time.monotonic() + QUIET_WITHIN_S, 0
        while quiet < 2 and time.monotonic() < end:
            quiet = quiet + 1 if self._busy(subscribers) is None else 0
            time.sleep(0.1)
        if quiet < 2:
            self.record.problem(f"not quiet after {QUIET_WITHIN_S} s: {self._busy(subscribers)}")

    def _count_points(self):
        for process, child, _, point in self.armed:
            if child.returncode == -signal.SIGKILL and not getattr(child, "was_killed", False):
                self.points_hit.append(point)
