"""Old events are forgotten by the running system; who comes back for them is told of the gap, over REST and on a WebSocket."""
from client import WebSocket
from processes import wait_for


def cancelled(stack, user_id):
    order_id = stack.create_order(user_id)
    assert stack.api.post(f"/orders/{order_id}/cancel").status == 200
    return order_id


def test_old_events_go_and_the_next_reader_is_told(stack):
    old = [cancelled(stack, "traveller") for _ in range(3)]
    stack.psql("""ALTER TABLE outbox DISABLE TRIGGER immutable; UPDATE outbox SET created_at = created_at - interval '36 days';
                  ALTER TABLE outbox ENABLE TRIGGER immutable""")
    new = cancelled(stack, "traveller")
    wait_for(lambda: stack.psql("SELECT event_id FROM retention") == [[str(len(old))]], 20, "the old events are forgotten")
    page = stack.api.get("/events?user_id=traveller&since=1").json
    assert [entry["type"] for entry in page["data"]] == ["gap", "order.cancelled"]
    assert page["data"][0] == {"type": "gap", "from": page["data"][1]["event_id"]}
    assert page["data"][1]["order_id"] == new
    assert stack.api.get(f"/events?user_id=traveller&since={len(old)}").json["data"] == page["data"][1:]

    socket = WebSocket(stack.gateways[0].port, user_id="traveller", since=1)
    socket.wait_for_event(5, type="order.cancelled", order_id=new)
    assert [frame["type"] for frame in socket.of()] == ["gap", "order.cancelled"]
    newest = cancelled(stack, "traveller")
    socket.wait_for_event(5, type="order.cancelled", order_id=newest)
    socket.close()
    stack.verify()
