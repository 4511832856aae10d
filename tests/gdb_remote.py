"""gdb's remote protocol by hand, for the tests of machines and of programs."""

import re
import socket
import time


class Remote:
    """The protocol by hand."""

    def __init__(self, path):
        for left in reversed(range(600)):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(60)
            try:
                self.socket.connect(str(path))
                break
            except ConnectionRefusedError:  # its name is there a moment before it listens
                self.socket.close()
                if not left:
                    raise
                time.sleep(0.02)
        self.data = b""

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(b"$" + data + b"#%02x" % (sum(data) % 256))

    def receive(self):
        while True:
            found = re.search(rb"\$([^#]*)#(..)", self.data)
            if found:
                self.data = self.data[found.end():]
                assert int(found[2], 16) == sum(found[1]) % 256
                try:
                    self.socket.sendall(b"+")
                except BrokenPipeError:
                    pass  # it told its end
                return found[1]
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.data += more

    def ask(self, data):
        self.send(data)
        return self.receive()
