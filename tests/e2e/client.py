"""What the outside uses: HTTP with kept connections, and a WebSocket that collects its events."""
import base64
import http.client
import json
import os
import socket
import struct
import threading
import time
import urllib.parse

from processes import wait_for


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
                while chunk := connection.recv(65536):
                    received += chunk
            except ConnectionError:
                pass
            return received


class WebSocketRefused(Exception):
    """The handshake was answered with something else than 101."""

    def __init__(self, status, body):
        super().__init__(f"{status} {body[:300]!r}")
        self.status, self.body = status, body


class WebSocket:
    """A WebSocket (RFC 6455) whose thread answers pings and keeps every text frame, parsed, with its time of arrival."""

    def __init__(self, port, timeout_s=10, **query):
        self.events = []   # as received
        self.times = []    # time.monotonic() of each
        self.close_code = None
        self.closed = threading.Event()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        key = base64.b64encode(os.urandom(16)).decode()
        path = "/ws" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        self.socket.sendall((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                             f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        self.reader = self.socket.makefile("rb")
        status_line = self.reader.readline().decode()
        headers = http.client.parse_headers(self.reader)
        status = int(status_line.split()[1]) if status_line else 0
        if status != 101:
            body = self.reader.read(int(headers.get("Content-Length") or 0))
            self.socket.close()
            raise WebSocketRefused(status, body)
        self.socket.settimeout(None)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            while self._frame():
                pass
        except (OSError, ValueError, struct.error):
            pass
        self.closed.set()

    def _frame(self):
        first, second = self.reader.read(2)
        size = second & 0x7f
        if size == 126:
            size, = struct.unpack("!H", self.reader.read(2))
        elif size == 127:
            size, = struct.unpack("!Q", self.reader.read(8))
        payload = self.reader.read(size)
        if len(payload) != size:
            return False
        opcode = first & 0x0f
        if opcode == 1:
            self.times.append(time.monotonic())
            self.events.append(json.loads(payload))
        elif opcode == 9:
            self.send(10, payload)
        elif opcode == 8:
            self.close_code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
            return False
        return True

    def send(self, opcode, payload=b""):
        """One masked frame of fewer than 126 bytes."""
        mask = os.urandom(4)
        self.socket.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask +
                            bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)))

    def of(self, **fields):
        """The events with these fields."""
        return [event for event in list(self.events) if all(event.get(name) == value for name, value in fields.items())]

    def wait_for_event(self, deadline_s=10, **fields):
        return wait_for(lambda: self.of(**fields), deadline_s, f"an event with {fields} (got {self.events[-5:]})")[0]

    def close(self):
        try:
            self.send(8, struct.pack("!H", 1000))
        except OSError:
            pass
        self.closed.wait(2)
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
