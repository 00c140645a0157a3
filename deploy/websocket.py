"""A WebSocket client (RFC 6455) of the standard library alone: text frames in, ping answered, close. For the demo and for tests.

    socket = WebSocket("http://127.0.0.1:8080", "/ws?user_id=u1")
    event = socket.receive_json(deadline_s=5)
    socket.close()
"""
import base64
import hashlib
import json
import os
import socket
import struct
import time
from urllib.parse import urlsplit

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
FRAME_MAX_BYTES = 1 << 20


class WebSocketError(Exception):
    """The server refused the upgrade, closed, or broke the protocol."""


class WebSocket:
    def __init__(self, base_url, path, deadline_s=5):
        url = urlsplit(base_url)
        self._buffer = b""
        self._socket = socket.create_connection((url.hostname, url.port or 80), timeout=deadline_s)
        key = base64.b64encode(os.urandom(16))
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self._end = time.monotonic() + deadline_s
        head = self._read_until(b"\r\n\r\n")
        status = head.split(b"\r\n", 1)[0].decode("latin-1")
        if b" 101 " not in head.split(b"\r\n", 1)[0] + b" ":
            raise WebSocketError(f"no upgrade: {status}")
        accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest())
        if accept not in head:
            raise WebSocketError("Sec-WebSocket-Accept is wrong")

    def receive(self, deadline_s=5):
        """The next text message; None when none came before the deadline. Raises WebSocketError when the server closed."""
        self._end = time.monotonic() + deadline_s
        text = b""
        while True:
            try:
                final, opcode, payload = self._read_frame()
            except TimeoutError:
                return None
            if opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
                raise WebSocketError(f"closed by the server: {code} {payload[2:].decode('utf-8', 'replace')}")
            if opcode == PING:
                self._send_frame(PONG, payload)
            elif opcode != PONG:
                text += payload
                if len(text) > FRAME_MAX_BYTES:
                    raise WebSocketError("the message is too long")
                if final:
                    return text.decode("utf-8")

    def receive_json(self, deadline_s=5):
        text = self.receive(deadline_s)
        return None if text is None else json.loads(text)

    def close(self):
        try:
            self._send_frame(CLOSE, struct.pack("!H", 1000))
        except OSError:
            pass
        self._socket.close()

    # ---- frames ----

    def _send_frame(self, opcode, payload):
        """A whole frame, masked as clients must; control frames have at most 125 bytes."""
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        self._socket.sendall(struct.pack("!BB", 0x80 | opcode, 0x80 | len(payload)) + mask + masked)

    def _read_frame(self):
        """Nothing is taken off the buffer before the frame is complete, so that a deadline loses no byte."""
        self._fill(2)
        first, second = self._buffer[0], self._buffer[1]
        size, header = second & 0x7F, 2
        if size == 126:
            self._fill(4)
            size, header = struct.unpack("!H", self._buffer[2:4])[0], 4
        elif size == 127:
            self._fill(10)
            size, header = struct.unpack("!Q", self._buffer[2:10])[0], 10
        if second & 0x80 or size > FRAME_MAX_BYTES:
            raise WebSocketError("the server sent a masked or oversized frame")
        self._fill(header + size)
        payload, self._buffer = self._buffer[header:header + size], self._buffer[header + size:]
        return bool(first & 0x80), first & 0x0F, payload

    def _read_until(self, mark):
        while mark not in self._buffer:
            self._fill(len(self._buffer) + 1)
        head, _, self._buffer = self._buffer.partition(mark)
        return head

    def _fill(self, size):
        while len(self._buffer) < size:
            left = self._end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._socket.settimeout(left)
            received = self._socket.recv(65536)
            if not received:
                raise WebSocketError("the server ended the connection")
            self._buffer += received
