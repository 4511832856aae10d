"""The tables of ./dev bench, from the value that bench.measure_all makes."""

import math

OURS, NATIVE = "mimic", "native"
REFERENCES = ("qemu 7.2", "qemu 10.0")
HEAD = ("program", "native s", "mimic s", "7.2 s", "10.0 s", "mimic/native", "7.2/native", "10.0/native",
        "over 7.2", "over 10.0")
RATIOS = ((OURS, NATIVE), ("qemu 7.2", NATIVE), ("qemu 10.0", NATIVE), ("qemu 7.2", OURS), ("qemu 10.0", OURS))


def seconds(row, column):
    """The time of a cell, None if it was not run or is wrong."""
    cell = row["columns"].get(column)
    return None if cell is None or "trouble" in cell or cell["seconds"] == 0 else cell["seconds"]


def ratio(row, over, under):
    a, b = seconds(row, over), seconds(row, under)
    return None if a is None or b is None else a / b


def geomean(values):
    values = [value for value in values if value is not None]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None


def number(value, form="{:.2f}"):
    return "-" if value is None else form.format(value)


def cell(row, column):
    if "trouble" in row["columns"].get(column, {}):
        return "WRONG"
    return number(seconds(row, column), "{:.3f}")


def lines_of(row):
    return [row["name"], *(cell(row, column) for column in (NATIVE, OURS, *REFERENCES)),
            *(number(ratio(row, *pair)) for pair in RATIOS)]


def geomean_line(name, rows):
    return [name, "", "", "", "", *(number(geomean([ratio(row, *pair) for row in rows])) for pair in RATIOS)]


def classes(rows):
    return list(dict.fromkeys(row["class"] for row in rows))


def sections(result):
    """(title, header, lines) of each table."""
    rows = result["rows"]
    for guest in dict.fromkeys(row["guest"] for row in rows):
        mine = [row for row in rows if row["guest"] == guest]
        lines = []
        speed = [row for row in mine if row["class"] not in ("start", "cold", "warm")]
        for kind in classes(speed):
            members = [row for row in speed if row["class"] == kind]
            lines += [lines_of(row) for row in members]
            lines.append(geomean_line(f"= {kind}", members))
        if lines:
            lines.append(geomean_line("= whole corpus", speed))
            yield f"{guest}: CPU seconds", HEAD, lines
    costs = [line for row in rows for line in cost_lines(row)]
    if costs:
        yield "costs", ("what", NATIVE, OURS, *REFERENCES), costs


def cost_lines(row):
    """Start-up time and memory from the hello program, start-up of real ones, translation from the cold one."""
    columns = (NATIVE, OURS, *REFERENCES)
    times = [seconds(row, column) for column in columns]
    if row["class"] == "start":
        yield [f"{row['guest']}: start-up, ms of CPU", *(number(t and t * 1000) for t in times)]
        yield [f"{row['guest']}: start-up, MiB resident",
               *(number(t and row["columns"][column]["resident_kib"] / 1024) for t, column in zip(times, columns))]
    if row["class"] == "warm":
        yield [f"{row['guest']}: {row['name']}, ms of CPU", *(number(t and t * 1000) for t in times)]
    if row["class"] == "cold":
        count = row["guest_instructions"]
        yield [f"{row['guest']}: cold code, us per guest instruction ({count})",
               *(number(t and t * 1e6 / count, "{:.3f}") for t in times)]


def caption(result):
    host = result["host"]
    versions = ", ".join(f"{name} {version}" if version else f"{name} not there"
                         for name, version in host["versions"].items())
    return (f"{host['processor']}, {host['processors']} processors; {versions}; native: {host['native']}; "
            f"minimum CPU time of {result['rounds']} interleaved rounds{', quick sizes' if result['quick'] else ''}. "
            "'over' says how many times faster than the reference Mimic is.")


def text(result):
    parts = [caption(result)]
    for title, head, lines in sections(result):
        widths = [max(len(str(line[i])) for line in [head, *lines]) for i in range(len(head))]
        parts.append(f"\n{title}")
        for line in (head, *lines):
            first, *others = (str(word) for word in line)
            parts.append("  ".join([first.ljust(widths[0]), *(w.rjust(n) for w, n in zip(others, widths[1:]))]))
    return "\n".join(parts)


def markdown(result):
    parts = [caption(result)]
    for title, head, lines in sections(result):
        parts.append(f"\n### {title}\n")
        parts.append("| " + " | ".join(head) + " |")
        parts.append("|---|" + "---:|" * (len(head) - 1))
        for line in lines:
            words = [f"**{word}**" if str(line[0]).startswith("=") and word else word for word in line]
            parts.append("| " + " | ".join(words) + " |")
    return "\n".join(parts)
