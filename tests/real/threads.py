"""Threads, processes and signals of a Python program under load; prints sums that don't depend on their order."""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading

count = int(sys.argv[1])


def pipeline():
    """Four stages of threads that hand on items through queues."""
    stages = [queue.Queue(8) for _ in range(5)]

    def stage(n):
        while (item := stages[n].get()) is not None:
            stages[n + 1].put(item * (n + 2) % 65521)
        stages[n + 1].put(None)
    threads = [threading.Thread(target=stage, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()

    def feed():
        for item in range(count):
            stages[0].put(item)
        stages[0].put(None)
    threading.Thread(target=feed).start()
    total = 0
    while (item := stages[4].get()) is not None:
        total += item
    for t in threads:
        t.join()
    return total


def children():
    """Forks while threads run."""
    stop = threading.Event()
    spinner = threading.Thread(target=lambda: [sum(range(100)) for _ in iter(stop.is_set, True)])
    spinner.start()
    statuses = []
    for n in range(count // 20):
        pid = os.fork()
        if pid == 0:
            os._exit(n % 100)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    outputs = [subprocess.run(["echo", str(n)], stdout=subprocess.PIPE, check=True).stdout for n in range(count // 40)]
    stop.set()
    spinner.join()
    return sum(statuses), b"".join(outputs).count(b"\n")


def signals():
    """Interval timer, child and user signals while it works."""
    seen = {"timer": 0, "user": 0}
    signal.signal(signal.SIGALRM, lambda *_: seen.update(timer=seen["timer"] + 1))
    signal.signal(signal.SIGUSR1, lambda *_: seen.update(user=seen["user"] + 1))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    total, sent = 0, 0
    while sent < count or seen["timer"] < 5:
        total += sum(range(50))
        if sent < count:
            os.kill(os.getpid(), signal.SIGUSR1)
            sent += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    return total > 0, seen["user"] == count, seen["timer"] >= 5


def sockets():
    """Many connections at once, each answered by its own thread."""
    server = socket.create_server(("127.0.0.1", 0), backlog=64)

    def answer(connection):
        with connection:
            connection.sendall(connection.recv(100)[::-1])

    def serve():
        for _ in range(count // 10):
            threading.Thread(target=answer, args=(server.accept()[0],)).start()
    threading.Thread(target=serve).start()
    total = 0
    for n in range(count // 10):
        with socket.create_connection(server.getsockname()) as client:
            client.sendall(b"%05d" % n)
            total += int(client.recv(100))
    return total


for part in (pipeline, children, signals, sockets):
    print(part.__name__, part(), flush=True)
