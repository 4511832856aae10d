"""What Python programs do: objects, dictionaries, strings, regular expressions, JSON, sorting, big integers."""
import collections
import hashlib
import json
import re
import sys


class Account:
    def __init__(self, name, balance):
        self.name = name
        self.balance = balance

    def deposit(self, amount):
        self.balance += amount
        return self


def objects(n):
    accounts = [Account(f"account {i}", i % 97) for i in range(200)]
    for i in range(n * 40):
        accounts[i * 7 % 200].deposit(i % 13 - 6)
    return sum(a.balance * len(a.name) for a in accounts)


def words(n):
    text = " ".join(f"w{i * i % 977}{'abcdefg'[i % 7]}" for i in range(n * 4))
    counts = collections.Counter(re.findall(r"[a-z]+\d+[a-f]", text))
    return json.dumps(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:50])


def documents(n):
    rows = [{"id": i, "name": f"row {i}", "tags": ["x", "y", str(i % 5)], "value": i / 8} for i in range(n)]
    again = json.loads(json.dumps(rows))
    return sum(row["value"] for row in again if "3" in row["tags"])


def numbers(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a % (10 ** 40), pow(3, n, 2 ** 127 - 1)


def generators(n):
    def primes():
        known = []
        candidate = 2
        while True:
            if all(candidate % p for p in known if p * p <= candidate):
                known.append(candidate)
                yield candidate
            candidate += 1
    source = primes()
    return sum(next(source) for _ in range(n // 12))


size = int(sys.argv[1])
results = repr([work(size) for work in (objects, words, documents, numbers, generators)])
print(hashlib.sha256(results.encode()).hexdigest(), results[:60])
