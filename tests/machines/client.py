"""What tests of machines share: ports that are free, sockets of a process, a client of QMP."""

import json
import socket
import time


class Failure(AssertionError):
    """A machine that did not do what it must."""


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def connect(path, process, patience=60):
    """A connection to the Unix socket that `process` will listen at; `patience` (seconds) also bounds each read."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(patience)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            client.connect(str(path))
            return client
        except OSError:
            if process.poll() is not None:
                client.close()
                said = process.stdout.read().decode(errors="replace") if process.stdout else ""
                raise Failure(f"left at once: {said}") from None
            time.sleep(0.05)  # until it listens
    client.close()
    raise Failure(f"nobody listens at {path}")


class Qmp:
    """A client of QMP on a connected socket; events are kept. EOFError: the machine has closed it."""

    def __init__(self, connection, negotiate=True):
        self.socket, self.lines, self.events = connection, connection.makefile("rb"), []
        self.greeting = self.read()
        if negotiate:
            self.run("qmp_capabilities")

    def disconnect(self):
        self.lines.close()
        self.socket.close()

    def read(self):
        line = self.lines.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    def send(self, text):
        """What comes back for a text: the reply."""
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())
        while "event" in (message := self.read()):
            self.events.append(message)
        return message

    def ask(self, command, **arguments):
        """The reply to a command; names of arguments have '_' for '-'."""
        request = {"execute": command}
        if arguments:
            request["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        return self.send(json.dumps(request) + "\n")

    def run(self, command, **arguments):
        reply = self.ask(command, **arguments)
        if "error" in reply:
            raise Failure(f"{command}: {reply['error']}")
        return reply["return"]

    def human(self, line):
        return self.run("human-monitor-command", command_line=line).replace("\r\n", "\n")

    def event(self, name):
        """The next event of that name."""
        while not (found := [e for e in self.events if e["event"] == name]):
            message = self.read()
            assert "event" in message, message
            self.events.append(message)
        self.events.remove(found[0])
        return found[0]
