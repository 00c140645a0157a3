"""Idempotency-Key: however often a request is sent, and whoever dies meanwhile, it is carried out once and answered alike."""
import concurrent.futures
import dataclasses
import hashlib
import http.client
import json
import threading
import uuid

import pytest

from processes import wait_for

STACK = {"scale": {"gateway": 2, "order": 2, "router": 2}}
CLIENTS = 50
NOWHERE = "01900000-0000-7000-8000-000000000001"
PSPS = ("razorpay", "cashfree", "juspay")


@dataclasses.dataclass
class Call:
    """A POST that takes a key: another body that is as good, what it answers, and how to count its effects."""
    path: str
    body: dict | None
    other_body: dict
    status: int
    effects: str


def order_call(stack):
    user = new_key()
    return Call("/orders", {"user_id": user, "amount": 45000, "currency": "INR"},
                {"user_id": user, "amount": 45001, "currency": "INR"}, 201,
                f"SELECT count(*) FROM orders WHERE user_id = '{user}'")


def cancel_call(stack):
    order_id = stack.create_order()
    return Call(f"/orders/{order_id}/cancel", None, {}, 200,
                f"SELECT count(*) FROM outbox WHERE order_id = '{order_id}' AND type = 'order.cancelled'")


def initiate_call(stack):
    order_id = stack.create_order()
    return Call("/payments/initiate", {"order_id": order_id, "payment_method": "UPI"},
                {"order_id": order_id, "payment_method": "CARD"}, 201,
                f"SELECT count(*) FROM payments WHERE order_id = '{order_id}'")


def refund_call(stack):
    payment_id = paid(stack)
    return Call(f"/payments/{payment_id}/refunds", {"amount": 1000, "reason": "cold"}, {"amount": 1000, "reason": "late"}, 202,
                f"SELECT count(*) FROM refunds WHERE payment_id = '{payment_id}'")


CALLS = {"orders": order_call, "cancel": cancel_call, "initiate": initiate_call, "refunds": refund_call}


@pytest.fixture(params=CALLS)
def call(request, stack):
    return CALLS[request.param](stack)


def new_key():
    return f"k {uuid.uuid4()}"


def paid(stack):
    order_id, payment_id = stack.pay_for()
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    return payment_id


def post(stack, path, body, key, gateway=0, **headers):
    return stack.gateways[gateway].client.post(path, body, {"Idempotency-Key": key} | headers)


def raw_post(stack, call, *header_lines):
    """Whole answer to a request whose header lines are sent as they are."""
    body = b"" if call.body is None else json.dumps(call.body).encode()
    head = [f"POST {call.path} HTTP/1.1", "Host: x", "Connection: close", f"Content-Length: {len(body)}", *header_lines, "", ""]
    return stack.api.raw("\r\n".join(head).encode("latin-1") + body)


def effects(stack, call):
    return int(stack.psql(call.effects)[0][0])


def age_keys(stack, interval):
    stack.psql(f"UPDATE idempotency_keys SET created_at = created_at - interval '{interval}'")


def is_replay(response):
    assert response.headers["Idempotency-Replayed"] in (None, "true")
    return response.headers["Idempotency-Replayed"] == "true"


def assert_replayed(first, again):
    assert is_replay(again), again
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert again.headers["Location"] == first.headers["Location"]


def assert_refused(response, status, code):
    assert (response.status, response.json["code"]) == (status, code), response
    assert not is_replay(response)


def answered(stack, call, key, status=None):
    """The answer to a key that nobody has used before."""
    response = post(stack, call.path, call.body, key)
    assert response.status == (status or call.status), response
    assert not is_replay(response)
    return response


def at_once(count, action):
    """action(number) on so many threads, begun together; what each returned."""
    barrier = threading.Barrier(count)

    def begin(number):
        barrier.wait()
        return action(number)
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


# ---- one effect, one answer ----

def test_fifty_clients_with_one_key_have_one_effect_and_one_answer(stack, call):
    key = new_key()
    answers = at_once(CLIENTS, lambda number: post(stack, call.path, call.body, key, gateway=number % 2))
    done = [answer for answer in answers if answer.status != 409]
    for answer in answers:
        if answer.status == 409:
            assert_refused(answer, 409, "IDEMPOTENCY_KEY_IN_FLIGHT")
            assert answer.headers["Retry-After"] == "1"
    assert {(answer.status, answer.body) for answer in done} == {(call.status, done[0].body)}
    assert [is_replay(answer) for answer in done].count(False) == 1
    assert effects(stack, call) == 1
    assert_replayed(done[0], post(stack, call.path, call.body, key, gateway=1))
    assert effects(stack, call) == 1


def test_fifty_keys_have_fifty_effects(stack):
    """A key that is not repeated changes nothing, though all come in the same batches."""
    call = order_call(stack)
    answers = at_once(CLIENTS, lambda number: post(stack, call.path, call.body, new_key(), gateway=number % 2))
    assert {answer.status for answer in answers} == {201} and not any(map(is_replay, answers))
    assert effects(stack, call) == len({answer.json["order_id"] for answer in answers}) == CLIENTS


def test_the_same_key_with_another_body_is_refused_and_does_nothing(stack, call):
    key = new_key()
    first = answered(stack, call, key)
    for _ in range(2):
        assert_refused(post(stack, call.path, call.other_body, key, gateway=1), 422, "IDEMPOTENCY_KEY_REUSED")
    assert effects(stack, call) == 1
    assert_replayed(first, post(stack, call.path, call.body, key))


def test_of_two_bodies_under_one_key_at_once_one_wins(stack, call):
    key = new_key()
    bodies = (call.body, call.other_body)
    answers = at_once(20, lambda number: post(stack, call.path, bodies[number % 2], key, gateway=number // 2 % 2))
    codes = [{answer.status if answer.status == call.status else answer.json["code"] for answer in answers[parity::2]}
             for parity in range(2)]
    winner = 0 if call.status in codes[0] else 1
    assert codes[winner] <= {call.status, "IDEMPOTENCY_KEY_IN_FLIGHT"} and call.status in codes[winner]
    assert codes[1 - winner] == {"IDEMPOTENCY_KEY_REUSED"}
    assert effects(stack, call) == 1


def test_a_key_is_one_paths_only(stack):
    key = new_key()
    first, second = cancel_call(stack), cancel_call(stack)
    one = answered(stack, first, key)
    other = answered(stack, second, key)
    assert one.json["order_id"] != other.json["order_id"]
    assert effects(stack, first) == effects(stack, second) == 1


def test_without_a_key_each_request_is_one_of_its_own(stack):
    call = order_call(stack)
    ids = {stack.api.post(call.path, call.body).json["order_id"] for _ in range(2)}
    assert len(ids) == effects(stack, call) == 2


# ---- the first answer ----

def test_the_first_answer_is_given_again_whatever_became_of_it_since(stack):
    def keep(path, body, status):
        key = new_key()
        first = post(stack, path, body, key)
        assert first.status == status, first
        kept.append((path, body, key, first))
        return first.json

    kept = []
    order_id = keep("/orders", {"user_id": "kept", "amount": 45000, "currency": "INR"}, 201)["order_id"]
    payment_id = keep("/payments/initiate", {"order_id": order_id, "payment_method": "UPI"}, 201)["payment_id"]
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    refund_id = keep(f"/payments/{payment_id}/refunds", {}, 202)["refund_id"]
    wait_for(lambda: stack.api.get(f"/refunds/{refund_id}").json["status"] == "SUCCESS", 10, "the refund is done")
    stack.wait_for_order(order_id, "REFUNDED")
    open_id = stack.create_order("kept")
    keep(f"/orders/{open_id}/cancel", None, 200)
    for path, body, key, first in kept:
        assert_replayed(first, post(stack, path, body, key, gateway=1))
    assert [first.json["status"] for _, _, _, first in kept] == ["PENDING", "PENDING", "PENDING", "CANCELLED"]
    stack.verify()


def test_a_refusal_is_remembered_though_it_would_be_granted_now(stack):
    order_id, payment_id = stack.pay_for()
    path, key = f"/payments/{payment_id}/refunds", new_key()
    first = post(stack, path, {"amount": 100}, key)
    assert_refused(first, 422, "REFUND_EXCEEDS_CAPTURE")
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    assert_replayed(first, post(stack, path, {"amount": 100}, key, gateway=1))
    assert post(stack, path, {"amount": 100}, new_key()).status == 202


@pytest.mark.parametrize("path, body, status, code", [
    (f"/orders/{NOWHERE}/cancel", None, 404, "ORDER_NOT_FOUND"),
    ("/payments/initiate", {"order_id": NOWHERE, "payment_method": "UPI"}, 404, "ORDER_NOT_FOUND"),
    (f"/payments/{NOWHERE}/refunds", {}, 404, "PAYMENT_NOT_FOUND"),
    ("/orders/{cancelled}/cancel", None, 200, None),
    ("/orders/{paid}/cancel", None, 409, "ORDER_NOT_CANCELLABLE"),
    ("/payments/initiate", {"order_id": "{paid}", "payment_method": "UPI"}, 409, "ORDER_NOT_PAYABLE"),
    ("/payments/initiate", {"order_id": "{cancelled}", "payment_method": "UPI"}, 409, "ORDER_NOT_PAYABLE")])
def test_what_was_refused_is_refused_in_the_same_words(stack, path, body, status, code):
    order_id = stack.create_order()
    if "{paid}" in str((path, body)):
        order_id = stack.get_payment(paid(stack))["order_id"]
    elif "{cancelled}" in str((path, body)):
        assert stack.api.post(f"/orders/{order_id}/cancel").status == 200

    def fill(text):
        return text.replace("{paid}", order_id).replace("{cancelled}", order_id)
    path = fill(path)
    body = body and {name: fill(value) for name, value in body.items()}
    key = new_key()
    first = post(stack, path, body, key)
    assert (first.status, first.json.get("code")) == (status, code), first
    assert not is_replay(first)
    assert_replayed(first, post(stack, path, body, key, gateway=1))


def test_what_cannot_be_understood_is_not_remembered(stack):
    call, key = order_call(stack), new_key()
    assert_refused(post(stack, call.path, call.body | {"amount": 0}, key), 400, "INVALID_AMOUNT")
    assert_refused(post(stack, call.path, call.body | {"tip": 1}, key), 400, "UNKNOWN_FIELD")
    answered(stack, call, key)


# ---- keys ----

@pytest.mark.parametrize("key", ["", " ", "k" * 256, "caf\u00e9"], ids=["empty", "blank", "256", "latin-1"])
def test_what_is_no_key_is_refused_by_every_call(stack, call, key):
    answer = raw_post(stack, call, f"Idempotency-Key: {key}")
    assert answer.startswith(b"HTTP/1.1 400 ") and b"INVALID_IDEMPOTENCY_KEY" in answer, answer[:300]
    assert effects(stack, call) == 0


def test_a_key_that_is_given_twice_is_refused(stack, call):
    answer = raw_post(stack, call, "Idempotency-Key: k", "idempotency-key: k")
    assert answer.startswith(b"HTTP/1.1 400 ") and b"INVALID_IDEMPOTENCY_KEY" in answer, answer[:300]
    assert effects(stack, call) == 0


def test_a_key_of_255_characters_is_taken_and_blanks_around_it_are_not_part_of_it(stack, call):
    key = uuid.uuid4().hex + "~" * 223
    first = answered(stack, call, key)
    assert_replayed(first, post(stack, call.path, call.body, f"  {key} "))


def test_a_key_belongs_to_its_api_key(stack, tmp_path):
    file = tmp_path / "keys"
    file.write_text("".join(f"{name} {scopes} {hashlib.sha256(secret.encode()).hexdigest()}\n" for name, scopes, secret in
                            [("shop", "write", "shop-secret"), ("till", "write", "till-secret"), ("eye", "read", "eye-secret")]))
    stack.restart("gateway-2", API_KEYS_FILE=file)
    try:
        call, key = order_call(stack), new_key()

        def by(secret):
            return post(stack, call.path, call.body, key, gateway=1, Authorization=f"Bearer {secret}")
        shop, till = by("shop-secret"), by("till-secret")
        assert shop.status == till.status == 201 and not is_replay(shop) and not is_replay(till)
        assert effects(stack, call) == 2
        assert_replayed(shop, by("shop-secret"))
        assert_replayed(till, by("till-secret"))
        assert by("eye-secret").status == 403 and by("nobody").status == 401
    finally:
        stack.restart("gateway-2", API_KEYS_FILE="")


@pytest.mark.parametrize("make", [order_call, initiate_call, refund_call])  # an order is cancelled once, whatever the key
def test_a_key_is_forgotten_after_24_hours(stack, make):
    call, key = make(stack), new_key()
    first = answered(stack, call, key)
    age_keys(stack, "23 hours 55 minutes")
    assert_replayed(first, post(stack, call.path, call.body, key))
    age_keys(stack, "10 minutes")
    again = answered(stack, call, key)
    assert again.body != first.body
    assert effects(stack, call) == 2
    assert_replayed(again, post(stack, call.path, call.body, key))


def test_forgotten_keys_are_deleted(stack):
    for _ in range(3):
        answered(stack, order_call(stack), new_key())
    age_keys(stack, "26 hours")
    call, key = order_call(stack), new_key()
    first = answered(stack, call, key)
    wait_for(lambda: stack.psql("SELECT count(*) FROM idempotency_keys WHERE created_at < now() - interval '1 day'") == [["0"]],
             10, "old keys are deleted")
    assert_replayed(first, post(stack, call.path, call.body, key))


# ---- PSPs that hang and refuse ----

def test_while_the_psp_hangs_the_key_is_in_flight_and_then_stands_for_the_payment(stack):
    order_id, key = stack.create_order(), new_key()
    body = {"order_id": order_id, "payment_method": "UPI", "gateway": "Razorpay"}
    stack.faults("razorpay", hang_ms=2000)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pending = pool.submit(post, stack, "/payments/initiate", body, key)
            wait_for(lambda: stack.psql(f"SELECT count(*) FROM payments WHERE order_id = '{order_id}'") == [["1"]], 5, "it is begun")
            for gateway in range(2):
                waiting = post(stack, "/payments/initiate", body, key, gateway=gateway)
                assert_refused(waiting, 409, "IDEMPOTENCY_KEY_IN_FLIGHT")
                assert waiting.headers["Retry-After"] == "1"
            assert_refused(post(stack, "/payments/initiate", body | {"payment_method": "CARD"}, key), 422, "IDEMPOTENCY_KEY_REUSED")
            first = pending.result()
    finally:
        stack.faults("razorpay")
    assert first.status == 201 and not is_replay(first), first
    assert_replayed(first, post(stack, "/payments/initiate", body, key, gateway=1))
    assert stack.psql(f"SELECT count(*) FROM payments WHERE order_id = '{order_id}'") == [["1"]]
    assert len(stack.get_payment(first.json["payment_id"])["attempts"]) == 1


def test_a_retry_after_no_psp_was_there_goes_on_with_the_same_payment(stack):
    order_id, key = stack.create_order(), new_key()
    body = {"order_id": order_id, "payment_method": "UPI"}
    for psp in PSPS:
        stack.faults(psp, refuse=True)
    try:
        for _ in range(2):
            refused = post(stack, "/payments/initiate", body, key)
            assert_refused(refused, 503, "NO_PSP_AVAILABLE")
            assert refused.headers["Retry-After"] == "1"
    finally:
        for psp in PSPS:
            stack.faults(psp)
    [[payment_id]] = stack.psql(f"SELECT payment_id FROM payments WHERE order_id = '{order_id}'")
    opened = post(stack, "/payments/initiate", body, key, gateway=1)
    assert (opened.status, opened.json.get("payment_id")) == (201, payment_id) and not is_replay(opened), opened
    attempts = [attempt["status"] for attempt in stack.get_payment(payment_id)["attempts"]]
    assert sorted(attempts) == ["OPEN"] + ["REFUSED"] * 6, attempts
    assert_replayed(opened, post(stack, "/payments/initiate", body, key))
    stack.sim_pay(payment_id)
    stack.wait_for_order(order_id, "PAID")
    stack.verify()


# ---- processes that die ----

def revive(stack, name, crash_at=""):
    """Starts a process again that was killed, or died at the point it was told to."""
    process = stack.processes[name]
    process.wait()
    wait_for(lambda: not process.expected_to_run, 5, f"the end of {name} is seen")
    process.unexpected_ends.clear()
    process.env["TIFFIN_CRASH_AT"] = crash_at
    process.start()
    stack.wait_until_ready()


def post_until_dead(stack, name, make):
    """Calls, each with a key of its own, until a process has died of one; all must be answered as if nothing had been.
    They have a gateway to themselves, whose hub gives work to each instance in turn."""
    calls = []
    while stack.processes[name].running():
        assert len(calls) < 50, f"{name} is never asked"
        calls.append(make(stack))
        answer = post(stack, calls[-1].path, calls[-1].body, new_key(), gateway=1)
        assert answer.status == calls[-1].status, answer
    return calls


def test_an_initiate_whose_gateway_dies_is_found_by_its_key(stack):
    order_id, key = stack.create_order(), new_key()
    body = {"order_id": order_id, "payment_method": "UPI", "gateway": "Razorpay"}
    stack.faults("razorpay", hang_ms=1500)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pending = pool.submit(post, stack, "/payments/initiate", body, key, gateway=1)
            wait_for(lambda: stack.psql(f"SELECT count(*) FROM payments WHERE order_id = '{order_id}'") == [["1"]], 5, "it is begun")
            stack.kill("gateway-2")
            with pytest.raises((OSError, http.client.HTTPException)):
                pending.result()
    finally:
        stack.faults("razorpay")
    [[payment_id]] = stack.psql(f"SELECT payment_id FROM payments WHERE order_id = '{order_id}'")
    found = wait_for(lambda: (answer := post(stack, "/payments/initiate", body, key)).status != 409 and answer, 20, "it is free")
    assert (found.status, found.json["payment_id"]) == (201, payment_id)
    assert stack.psql(f"SELECT count(*) FROM payments WHERE order_id = '{order_id}'") == [["1"]]
    revive(stack, "gateway-2")


def test_an_answer_that_the_gateway_took_with_it_is_given_to_the_retry(stack):
    stack.restart("gateway-2", TIFFIN_CRASH_AT="gateway_replied")
    for name in ("orders", "initiate"):
        call, key = CALLS[name](stack), new_key()
        with pytest.raises((OSError, http.client.HTTPException)):
            post(stack, call.path, call.body, key, gateway=1)
        again = post(stack, call.path, call.body, key)
        assert again.status == call.status and is_replay(again), (name, again)
        assert effects(stack, call) == 1, name
        revive(stack, "gateway-2", crash_at="gateway_replied")
    stack.restart("gateway-2", TIFFIN_CRASH_AT="")


@pytest.mark.parametrize("name, point, make", [
    ("order-1", "order_committed", order_call), ("order-1", "order_committed", cancel_call),
    ("router-1", "router_begun", initiate_call), ("router-1", "router_psp_answered", initiate_call),
    ("router-1", "router_recorded", initiate_call), ("router-1", "router_refund_reserved", refund_call)])
def test_what_a_service_took_with_it_is_answered_by_the_other_instance_and_done_once(stack, name, point, make):
    stack.restart(name, TIFFIN_CRASH_AT=point)
    calls = post_until_dead(stack, name, make)
    revive(stack, name)
    assert [effects(stack, call) for call in calls] == [1] * len(calls)
    stack.verify()


def test_replays_are_counted(stack):
    call, key = order_call(stack), new_key()

    def replays():
        for line in stack.api.get("/metrics").body.decode().splitlines():
            if line.startswith("tiffin_idempotent_replays_total "):
                return int(line.split()[1])
        return None
    before = replays()
    first = answered(stack, call, key)
    assert replays() == before
    assert_replayed(first, post(stack, call.path, call.body, key))
    assert replays() == before + 1


def test_all_of_it_leaves_the_books_in_order(stack):
    stack.verify()
