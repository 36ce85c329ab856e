"""sntp.py - an SNTP server (RFC 4330) that says a time of the test's choice. usage: sntp.py DAYS-FROM-NOW; prints its port."""

import socket
import struct
import sys
import time

sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 0))
print(sock.getsockname()[1], flush=True)
while True:
    data, sender = sock.recvfrom(100)
    now = (int(time.time()) + int(sys.argv[1]) * 86400 + 2208988800) & 0xFFFFFFFF  # its era ends in 2036
    sock.sendto(struct.pack(">BBbb11I", 0x24, 1, 0, -20, 0, 0, 0, now, 0, 0, 0, now, 0, now, 0), sender)
