"""hold_port - ports of this machine that nobody else can take while a test lasts, also while nothing listens at them: for a server of another
hand that takes no port 0, or that comes back where it was. A socket is bound to each and never listens: who binds with SO_REUSEADDR, as
servers do, may listen beside it, and neither bind(0) nor connect() of anybody picks the port.

    hold_port.py SCRIPT [ARGUMENTS]   becomes sh SCRIPT, with HELD_PORT in its environment
    hold_port.py --stay COUNT         prints the ports, and keeps them until its standard input ends
"""

import os
import socket
import sys


def hold():
    """A socket that holds a port as long as it is open."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


if __name__ == "__main__":
    if sys.argv[1] == "--stay":
        all_ = [hold() for _ in range(int(sys.argv[2]))]
        print(*(one.getsockname()[1] for one in all_), flush=True)
        sys.stdin.read()
    else:
        one = hold()
        os.environ["HELD_PORT"] = str(one.getsockname()[1])
        os.dup2(one.fileno(), 99)  # inherited, and no number that a shell uses
        os.execv("/bin/sh", ["sh", *sys.argv[1:]])
