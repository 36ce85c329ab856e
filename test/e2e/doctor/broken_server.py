"""broken_server - one server that does exactly what a row of the lab says, byte by byte and second by second.

A behaviour is a generator: it is given the request and yields bytes (sent as they are, each in one write and so one
TLS record), numbers (seconds of silence), READ (until the client has read all of it), RESET or nothing more (the connection is closed)."""

import socket
import ssl
import struct
import threading

RESET, READ = "reset", "read"
AT_ONCE = "at once"  # in place of TLS: whoever comes is sent away unasked


def queues(here, there):
    """(bytes that were sent from here and have not arrived, bytes that arrived there and were not read), of a connection of this machine; of one
    that is no more: (0, 0)."""
    def address(name):
        return f"{int.from_bytes(socket.inet_aton(name[0]), 'little'):08X}:{name[1]:04X}"
    with open("/proc/net/tcp") as table:
        rows = {(row[1], row[2]): row[4] for row in (line.split() for line in table)}
    sent, got = rows.get((address(here), address(there)), "0:0"), rows.get((address(there), address(here)), "0:0")
    return int(sent.split(":")[0], 16), int(got.split(":")[1], 16)


class Request:
    def __init__(self, raw):
        self.raw = raw
        lines = raw.decode("latin-1").split("\r\n")
        words = (lines[0] + "  ").split(" ")
        self.method, self.path, self.protocol = words[0], words[1], words[2]
        self.headers = {}
        for line in lines[1:]:
            if ":" in line:
                name, value = line.split(":", 1)
                self.headers[name.strip().lower()] = value.strip()


class BrokenServer:
    def __init__(self, behaviour, tls=None):
        self.behaviour, self.tls = behaviour, tls
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.closing = threading.Event()
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def close(self):
        """Nobody waits for a connection when it returns: a closed descriptor's number is soon another server's."""
        self.closing.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            if self.tls == AT_ONCE:
                connection.close()
            else:
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        try:
            connection.settimeout(600)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if callable(self.tls):
                self.tls(self, connection)
                return
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            self.answer(connection.recv, connection.sendall, connection)
        except (OSError, ssl.SSLError):
            pass
        finally:
            connection.close()

    def answer(self, receive, send, connection):
        raw = b""
        while b"\r\n\r\n" not in raw and len(raw) < 8192:
            piece = receive(4096)
            if not piece:
                return
            raw += bytes(piece)
            if raw[:1] == b"\x16" and self.tls is None:  # a TLS hello, where HTTP is spoken
                send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
        for step in self.behaviour(Request(raw)):
            if step == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if step == READ:
                while queues(connection.getsockname(), connection.getpeername()) != (0, 0):
                    if self.closing.wait(0.01):
                        return
            elif isinstance(step, (int, float)):
                if self.closing.wait(step):
                    return
            else:
                send(step)
        if self.tls is not None and not callable(self.tls):
            connection.unwrap()
        elif not callable(self.tls):
            connection.shutdown(socket.SHUT_WR)  # what the client sent is read, so that no reset overtakes the answer
            while connection.recv(4096):
                pass
