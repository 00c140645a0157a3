"""What the outside uses: HTTP with kept connections, and a WebSocket that collects its events."""
import http.client
import json
import pathlib
import re
import socket
import struct
import sys
import threading
import urllib.parse

from processes import wait_for

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "deploy"))
import websocket  # noqa: E402  deploy/websocket.py


class Response:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Client:
    """HTTP to one port. A connection per thread, kept; one that the server closed between two requests is made again."""

    def __init__(self, port, timeout_s=20):
        self.port, self.timeout_s = port, timeout_s
        self.local = threading.local()

    def request(self, method, path, body=None, headers=None):
        """body: bytes as they are, anything else as JSON. Raises OSError or HTTPException when no answer came."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection = getattr(self.local, "connection", None)
        if connection is not None and self._closed(connection):
            connection.close()
            connection = None
        if connection is None:
            connection = self.local.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout_s)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            response = Response(answer.status, answer.headers, answer.read())
        except BaseException:
            self.close()
            raise
        if answer.will_close:
            self.close()
        return response

    @staticmethod
    def _closed(connection):
        """An idle connection that is readable has been closed by the server."""
        if connection.sock is None:
            return True
        try:
            connection.sock.setblocking(False)
            return connection.sock.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            if connection.sock is not None:
                connection.sock.settimeout(connection.timeout)

    def close(self):
        connection = getattr(self.local, "connection", None)
        if connection is not None:
            connection.close()
        self.local.connection = None

    def get(self, path, headers=None):
        return self.request("GET", path, headers=headers)

    def post(self, path, body=None, headers=None):
        return self.request("POST", path, body, headers)

    def raw(self, data, timeout_s=10):
        """Sends bytes as they are on a connection of its own and returns everything that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout_s) as connection:
            received = b""
            try:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has hung up already; what it said before is still to be read
            try:
                while chunk := connection.recv(65536):
                    received += chunk
            except ConnectionError:
                pass
            return received


class WebSocketRefused(Exception):
    """The handshake was answered with something else than 101."""

    def __init__(self, status):
        super().__init__(str(status))
        self.status = status


class WebSocket(websocket.WebSocket):
    """A WebSocket whose thread keeps every message, parsed, until it is closed by either side."""

    def __init__(self, port, timeout_s=10, **query):
        path = "/ws" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        try:
            super().__init__(f"http://127.0.0.1:{port}", path, timeout_s)
        except websocket.WebSocketError as error:
            refusal = re.search(r"no upgrade: HTTP/1\.1 (\d+)", str(error))
            if refusal is None:
                raise
            raise WebSocketRefused(int(refusal[1])) from error
        self.events = []
        self.end = None  # why it was closed
        self.closed = threading.Event()
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self):
        try:
            while not self.closed.is_set():
                event = self.receive_json(deadline_s=60)
                if event is not None:
                    self.events.append(event)
        except (OSError, websocket.WebSocketError) as error:
            self.end = str(error)
        self.closed.set()

    def send(self, opcode, payload=b""):
        self._send_frame(opcode, payload)

    def send_raw(self, data):
        self._socket.sendall(data)

    def of(self, **fields):
        """The events with these fields."""
        return [event for event in list(self.events) if all(event.get(name) == value for name, value in fields.items())]

    def wait_for_event(self, deadline_s=10, **fields):
        return wait_for(lambda: self.of(**fields), deadline_s, f"an event with {fields} (got {self.events[-5:]})")[0]

    def close(self):
        if not self.closed.is_set():
            try:
                self.send(websocket.CLOSE, struct.pack("!H", 1000))
            except OSError:
                pass
            self.closed.wait(2)
        self.drop()

    def drop(self):
        """Without a word, as a phone that leaves the network."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.closed.wait(2)
        self._socket.close()
