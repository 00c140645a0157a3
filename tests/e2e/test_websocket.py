"""WebSockets: who gets what, how many there may be."""
import struct

import pytest

from client import WebSocket, WebSocketRefused
from processes import wait_for

STACK = {"env": {"WS_MAX": 4}}
UPGRADE = (b"GET /ws?user_id=u HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


def test_two_sockets_of_one_user_both_get_the_event(stack):
    sockets = [stack.websocket("pair") for _ in range(2)]
    order_id, payment_id = stack.pay_for("pair")
    stack.sim_pay(payment_id)
    frames = [socket.wait_for_event(5, type="payment.confirmed", order_id=order_id) for socket in sockets]
    assert frames[0] == frames[1]
    for socket in sockets:
        socket.close()


def test_over_the_limit_a_socket_is_refused_and_a_freed_slot_is_usable_again(stack):
    def refused():
        try:
            WebSocket(stack.gateways[0].port, user_id="one-more").close()
            return None
        except WebSocketRefused as refusal:
            return refusal

    def opened():
        try:
            return stack.websocket("freed")
        except WebSocketRefused:
            return None
    sockets = wait_for(lambda: [stack.websocket(f"full-{number}") for number in range(4)], 5, "four sockets")
    refusal = refused()
    assert refusal is not None and refusal.status == 503
    answer = stack.api.raw(UPGRADE)
    assert answer.startswith(b"HTTP/1.1 503 ") and b"TOO_MANY_WEBSOCKETS" in answer, answer
    assert stack.api.get("/healthz").status == 200
    sockets.pop().close()
    freed = wait_for(opened, 5, "a socket in the freed slot")
    order_id, payment_id = stack.pay_for("freed")
    stack.sim_pay(payment_id)
    freed.wait_for_event(5, type="payment.confirmed", order_id=order_id)
    for socket in [freed, *sockets]:
        socket.close()


@pytest.mark.parametrize("query", [{}, {"user_id": ""}, {"user_id": "x" * 129}, {"user_id": "a\nb"},
                                   {"user_id": "u", "order_id": "no-uuid"}, {"user_id": "u", "colour": "red"}])
def test_a_socket_that_says_not_whose_it_is_is_refused(stack, query):
    with pytest.raises(WebSocketRefused) as refusal:
        WebSocket(stack.gateways[0].port, **query)
    assert refusal.value.status == 400, refusal.value


def test_the_websocket_path_without_an_upgrade_says_so(stack):
    response = stack.api.get("/ws?user_id=u")
    assert (response.status, response.json["code"]) == (426, "UPGRADE_REQUIRED"), response


def slots_are_free(stack):
    sockets = []
    try:
        sockets = [WebSocket(stack.gateways[0].port, user_id="probe") for _ in range(4)]
        return True
    except WebSocketRefused:
        return False
    finally:
        for socket in sockets:
            socket.close()


NONSENSE = {
    "a size of 2^64 - 1": b"\x82\x7f" + b"\xff" * 13,
    "1.75 GB announced": b"\x81\xff\x00\x00\x00\x00\x68\x00\x00\x00abcd",
    "text that is no UTF-8": b"\x81\x85" + b"\x00" * 4 + b"\xff" * 5,
    "as large as two bytes can say": b"\x81\xfe\xff\xff" + b"\x00" * 4 + b"x" * 65535,
    "a continuation of nothing": b"\x00\x80\x00\x00\x00\x00",
    "all bits set": b"\xff\xff",
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_in_a_socket_does_no_harm_to_the_gateway(stack, name):
    wait_for(lambda: slots_are_free(stack), 5, "all slots are free")
    rude, neighbour = stack.websocket("rude"), stack.websocket("neighbour")
    try:
        try:
            rude.send_raw(NONSENSE[name])
            rude.send(1, b"hello")
            rude.send(9, b"ping")
        except OSError:
            pass  # the gateway has hung up: fine
        order_id, payment_id = stack.pay_for("neighbour")
        stack.sim_pay(payment_id)
        neighbour.wait_for_event(5, type="payment.confirmed", order_id=order_id)
        assert stack.processes["gateway-1"].running()
    finally:
        rude.drop()
        neighbour.close()


def test_a_close_is_answered_and_frees_the_slot(stack):
    wait_for(lambda: slots_are_free(stack), 5, "all slots are free")
    socket = stack.websocket("closer")
    socket.send(8, struct.pack("!H", 1000))
    assert socket.closed.wait(5)
    wait_for(lambda: slots_are_free(stack), 5, "all slots are free again")
