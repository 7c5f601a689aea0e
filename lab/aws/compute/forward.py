"""The network interface of an EC2 Instance Connect Endpoint: connects to addresses of its VPC.

Runs in a container of the VPC, where the endpoint's security groups apply, and listens on a Unix socket that the
computer of the lab shares. A client sends one line, `<address> <port>`, and receives one: empty when the connection
stands, otherwise why not. Then bytes go both ways until one side ends.
"""

import os
import socket
import socketserver
import sys
import threading

CONNECT_SECONDS = 5
CHUNK = 64 * 1024


def copy(source: socket.socket, target: socket.socket) -> None:
    """Copies until the source ends, and then ends the target's input."""
    try:
        while data := source.recv(CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # One side is gone. Closing both wakes the other direction.
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Connection(socketserver.BaseRequestHandler):
    """One connection from the lab to an address of the VPC."""

    def handle(self) -> None:
        line = b""
        while not line.endswith(b"\n"):
            byte = self.request.recv(1)
            if not byte:
                return
            line += byte
        address, port = line.decode().split()
        try:
            target = socket.create_connection((address, int(port)), CONNECT_SECONDS)
        except OSError as error:
            self.request.sendall(f"{error}\n".encode())
            return
        target.settimeout(None)
        target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with target:
            self.request.sendall(b"\n")
            back = threading.Thread(target=copy, args=(target, self.request), daemon=True)
            back.start()
            copy(self.request, target)
            back.join()


class Server(socketserver.ThreadingUnixStreamServer):
    """Serves every connection in a thread of its own."""

    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    path = sys.argv[1]
    if os.path.exists(path):
        os.unlink(path)
    with Server(path, Connection) as server:
        # The lab may run as another user.
        os.chmod(path, 0o666)
        server.serve_forever()
