"""WebSockets where API keys are configured: by tokens alone, which every gateway takes and nobody else makes."""
import datetime
import hashlib

import pytest

from client import Client, WebSocket, WebSocketRefused
from processes import wait_for

SCOPES = ("read", "write", "admin")
OLD, NEW = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
STACK = {"scale": {"gateway": 2}}
BY_READ, BY_WRITE, BY_ADMIN = ({"Authorization": f"Bearer {scope}"} for scope in SCOPES)


@pytest.fixture(scope="module")
def keyed(stack, tmp_path_factory):
    """Both gateways want API keys; the second is in the middle of taking a new secret in."""
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.write_text("".join(f"{scope}-desk {scope} {hashlib.sha256(scope.encode()).hexdigest()}\n" for scope in SCOPES))
    stack.restart("gateway-1", API_KEYS_FILE=file, WS_TOKEN_SECRET=OLD)
    stack.restart("gateway-2", API_KEYS_FILE=file, WS_TOKEN_SECRET=f"{NEW}, {OLD}", WS_TOKEN_TTL_S=2)
    return stack


def token_of(stack, user_id, gateway=0):
    response = stack.gateways[gateway].client.post("/ws/tokens", {"user_id": user_id}, BY_READ)
    assert response.status == 200, response
    return response.json["token"]


def open_socket(stack, gateway=0, **query):
    return WebSocket(stack.gateways[gateway].port, **query)


def refusal(stack, gateway=0, **query):
    with pytest.raises(WebSocketRefused) as refused:
        open_socket(stack, gateway, **query)
    return refused.value.status


def cancelled_order(stack, user_id):
    order = stack.api.post("/orders", {"user_id": user_id, "amount": 45000, "currency": "INR"}, BY_WRITE)
    assert order.status == 201, order
    order_id = order.json["order_id"]
    assert stack.api.post(f"/orders/{order_id}/cancel", headers=BY_WRITE).status == 200
    return order_id


def test_a_token_opens_its_users_socket_and_no_others_at_every_gateway(keyed):
    sockets = [open_socket(keyed, gateway, token=token_of(keyed, "al ice/é")) for gateway in (0, 1)]
    cancelled_order(keyed, "bob")
    order_id = cancelled_order(keyed, "al ice/é")
    for socket in sockets:
        socket.wait_for_event(5, type="order.cancelled", order_id=order_id)
        assert [event["user_id"] for event in socket.of()] == ["al ice/é"]
        socket.close()


def test_since_and_order_id_go_with_a_token(keyed):
    first, second = cancelled_order(keyed, "carol"), cancelled_order(keyed, "carol")
    token = token_of(keyed, "carol")
    everything = open_socket(keyed, token=token, since=0)
    everything.wait_for_event(5, order_id=second)
    assert [event["order_id"] for event in everything.of()] == [first, second]
    one = open_socket(keyed, token=token, since=0, order_id=second)
    one.wait_for_event(5, order_id=second)
    assert [event["order_id"] for event in one.of()] == [second]
    everything.close()
    one.close()


def test_a_token_says_when_it_expires_and_then_opens_nothing_more(keyed):
    before = datetime.datetime.now(datetime.timezone.utc)
    response = keyed.api.post("/ws/tokens", {"user_id": "dave"}, BY_READ)
    assert set(response.json) == {"token", "expires_at"} and response.headers["Cache-Control"] == "no-store"
    left = datetime.datetime.fromisoformat(response.json["expires_at"].replace("Z", "+00:00")) - before
    assert datetime.timedelta(seconds=898) < left < datetime.timedelta(seconds=910)
    short = token_of(keyed, "dave", gateway=1)  # two seconds
    socket = open_socket(keyed, 1, token=short)

    def expired():
        try:
            open_socket(keyed, 1, token=short).close()
            return None
        except WebSocketRefused as refused:
            return refused.status
    assert wait_for(expired, 10, "the token expires") == 401
    order_id = cancelled_order(keyed, "dave")  # who is in, stays
    socket.wait_for_event(5, type="order.cancelled", order_id=order_id)
    socket.close()


def test_what_the_new_secret_signed_only_who_has_it_takes(keyed):
    open_socket(keyed, 1, token=token_of(keyed, "erin", gateway=0)).close()
    token = token_of(keyed, "erin", gateway=1)
    open_socket(keyed, 1, token=token).close()
    assert refusal(keyed, 0, token=token) == 401


def test_without_a_token_of_ours_there_is_no_socket(keyed):
    token = token_of(keyed, "frank")
    tampered = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert refusal(keyed) == refusal(keyed, user_id="frank") == 401
    assert refusal(keyed, token="") == refusal(keyed, token=tampered) == refusal(keyed, token="x" * 5000) == 401
    assert refusal(keyed, token=token, user_id="frank") == 400
    answer = Client(keyed.gateways[0].port).raw(
        f"GET /ws?token={tampered} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    assert b"application/problem+json" in answer and b'"code":"TOKEN_INVALID"' in answer, answer


def test_only_a_key_that_may_read_gets_tokens_and_bodies_are_strict(keyed):
    def post(body, headers=None):
        response = keyed.api.post("/ws/tokens", body, headers)
        return response.status, response.json.get("code")
    user = {"user_id": "u"}
    assert post(user) == (401, "UNAUTHENTICATED")
    assert post(user, BY_WRITE) == (403, "FORBIDDEN")
    assert post(user, BY_ADMIN) == (200, None)
    assert post({}, BY_READ) == (400, "MISSING_FIELD")
    assert post({"user_id": "u", "order_id": "x"}, BY_READ) == (400, "UNKNOWN_FIELD")
    assert post({"user_id": ""}, BY_READ) == post({"user_id": "x" * 129}, BY_READ) == (400, "INVALID_FIELD")
    assert post({"user_id": "a\nb"}, BY_READ) == post({"user_id": 7}, BY_READ) == (400, "INVALID_FIELD")
    assert post(b'{"user_id":"u"}x', BY_READ) == (400, "MALFORMED_JSON")


def test_a_token_is_in_no_log(keyed):
    token = token_of(keyed, "grace")
    open_socket(keyed, token=token).close()
    for path in keyed.logs():
        text = path.read_text(errors="replace")
        assert token.rpartition(".")[2] not in text and OLD not in text, path
