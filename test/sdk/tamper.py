"""tamper.py - a man in the middle of plain HTTP: passes everything on, but one bit of a manifest's signature is another.
usage: tamper.py PORT-OF-THE-SERVER; prints its own port."""

import socket
import sys
import threading

SIGNATURE_AT = 100  # a byte of the signature in an envelope of molt's (doc/security.md)


def read_message(sock):
    """(head, body) of one HTTP message."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return data, b""
        data += piece
    head, body = data.split(b"\r\n\r\n", 1)
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        body += sock.recv(65536)
    return head, body


def serve(client, port):
    with client, socket.create_connection(("127.0.0.1", port)) as server:
        head, body = read_message(client)
        server.sendall(head + b"\r\n\r\n" + body)
        head, body = read_message(server)
        if body[:2] == b"\xd8\x6b":  # the CBOR tag of a SUIT envelope
            body = body[:SIGNATURE_AT] + bytes([body[SIGNATURE_AT] ^ 1]) + body[SIGNATURE_AT + 1:]
            print("tampered", file=sys.stderr, flush=True)
        client.sendall(head + b"\r\n\r\n" + body)


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, int(sys.argv[1])), daemon=True).start()


if __name__ == "__main__":
    main()
