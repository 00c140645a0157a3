"""What a seed means: everything that is drawn is drawn here, from one generator per purpose, so that a seed repeats its plan."""
import dataclasses
import random
import re

from stores import ROOT

PSPS = ("razorpay", "cashfree", "juspay")
SCALE = {"gateway": 2, "order": 2, "router": 2, "webhook-processor": 2, "reconciler": 1, "notifier": 2}
LOAD_S = 3.5
LONG_STOP_S = 7.0  # longer than a peer may be silent (6 s) and an entry may be held (5 s)


def crash_points():
    """Names and programs of lib/crash_point.h."""
    text = (ROOT / "lib" / "crash_point.h").read_text()
    return re.findall(r'POINT\((\w+), "([\w-]+)", "', text)


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something that happens to a process `at` seconds into the load."""
    at: float
    what: str            # kill, stop, term, crash: of an instance; redis, postgres: killed; freeze: of one of the two
    target: str = ""     # instance, store
    for_s: float = 0.0   # stop, freeze: how long; redis, postgres: how long it stays away
    point: str = ""      # crash: where
    count: int = 1       # crash: at which passing


# Their webhooks are hints, and their status calls tell of one charge: an order there takes no second one.
TOLD_BY_STATUS_ALONE = ("juspay", "phonepe")


class Plan:
    def __init__(self, seed, points=None):
        self.seed = seed
        drawn = random.Random(f"plan {seed}")
        # Every second run does without reconciliation: what a webhook's 200 promised must hold by itself.
        self.reconciles = seed % 2 == 1
        self.points = points or crash_points()
        self.faults = sorted(self._faults(drawn), key=lambda fault: fault.at)
        self.simulator = [(drawn.uniform(0, LOAD_S * 0.8), drawn.choice(PSPS), self._simulator_fault(drawn))
                          for _ in range(drawn.randint(3, 6))]
        self.simulator.sort(key=lambda change: change[0])
        for _, psp, fault in self.simulator:
            if psp in TOLD_BY_STATUS_ALONE:
                fault.pop("duplicate_capture", None)

    def generator(self, purpose):
        return random.Random(f"{purpose} {self.seed}")

    @staticmethod
    def _instance(drawn, program):
        return f"{program}-{drawn.randint(1, SCALE[program])}"

    def _faults(self, drawn):
        # The seed walks through the named points, so that consecutive seeds pass all of them.
        for step in range(3):
            point, program = self.points[(self.seed * 3 + step) % len(self.points)]
            yield Fault(drawn.uniform(0.1, LOAD_S * 0.7), "crash", self._instance(drawn, program), point=point,
                        count=drawn.choice((1, 1, 2, 3)))
        if not self.reconciles:  # nobody tells again what is lost between stream and database
            for point in ("processor_read", "processor_committed"):
                yield Fault(drawn.uniform(0.1, LOAD_S * 0.8), "crash", self._instance(drawn, "webhook-processor"), point=point,
                            count=drawn.randint(1, 6))
        for _ in range(drawn.randint(1, 4)):
            yield Fault(drawn.uniform(0.2, LOAD_S), "kill", self._instance(drawn, drawn.choice(list(SCALE))))
        if drawn.random() < 0.5:
            long = drawn.random() < 0.1
            yield Fault(drawn.uniform(0.2, LOAD_S), "stop", self._instance(drawn, drawn.choice(list(SCALE))),
                        for_s=LONG_STOP_S if long else drawn.uniform(0.1, 1.5))
        if drawn.random() < 0.3:
            yield Fault(drawn.uniform(0.2, LOAD_S), "term", self._instance(drawn, drawn.choice(list(SCALE))))
        if drawn.random() < 0.35:
            yield Fault(drawn.uniform(0.3, LOAD_S * 0.8), "redis", for_s=drawn.uniform(0, 0.5))
        if drawn.random() < 0.35:
            yield Fault(drawn.uniform(0.3, LOAD_S * 0.8), "postgres", for_s=drawn.uniform(0, 0.5))

        if drawn.random() < 0.2:
            yield Fault(drawn.uniform(0.3, LOAD_S * 0.8), "freeze", drawn.choice(("redis", "postgres")),
                        for_s=drawn.uniform(0.2, 2.5))

    def _simulator_fault(self, drawn):
        """One PSP's behaviour from then on. What only a webhook tells is never kept from us for good."""
        fault = {}
        modes = ["once", "twice", "late", "before", "reorder"] + (["none"] if self.reconciles else [])
        fault["webhook"] = drawn.choice(modes)
        if fault["webhook"] in ("late", "reorder"):
            fault["webhook_delay_ms"] = drawn.randint(50, 1500)
        if drawn.random() < 0.2:
            fault["amount_delta"] = drawn.choice((-100, -1, 1, 500))
        if drawn.random() < 0.2:
            fault["error_rate"] = drawn.choice((0.3, 0.7, 1.0))
        if drawn.random() < 0.2:
            fault["latency_ms"] = drawn.randint(10, 300)
        if drawn.random() < 0.1:
            fault["hang_ms"] = drawn.choice((800, 4000))
        if drawn.random() < 0.1:
            fault["refuse"] = True
        if fault["webhook"] != "none" and drawn.random() < 0.3:
            fault["duplicate_capture"] = True
        fault["refund"] = drawn.choice(("ok", "ok", "pending", "refuse", "fail_later", "unknown", "hang"))
        if fault["refund"] in ("pending", "fail_later"):
            fault["refund_delay_ms"] = drawn.randint(50, 1000)
        if fault["refund"] == "hang":
            fault["hang_ms"] = 4000
        return fault
