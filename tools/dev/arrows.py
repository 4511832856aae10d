"""The graph of rooms: as CMake declares it, as ARCHITECTURE.md shows it, and as the #include lines use it.

    arrows.py BUILD/arrows.txt           compares all three (rooms.txt beside it has the folders); exit status 1 with one line a difference
    arrows.py BUILD/arrows.txt --write   puts CMake's graph into ARCHITECTURE.md
"""

import re
import sys
from pathlib import Path

from common import ROOT

PAGE = ROOT / "ARCHITECTURE.md"
BLOCK = re.compile(r"(<!-- arrows -->\n```\n)(.*?)(```\n)", re.DOTALL)


def parse(text):
    """{room: set of rooms} of lines 'room -> room room'."""
    graph = {}
    for line in text.splitlines():
        room, _, to = line.partition("->")
        graph[room.strip()] = set(to.split())
    return graph


def closure(graph):
    """Every room that a room may use: along one arrow or many."""
    reach = {room: set(to) for room, to in graph.items()}
    for _ in graph:
        for room in reach:
            reach[room] |= {far for near in reach[room] for far in reach.get(near, ())}
    return reach


def structure_errors(graph):
    for room, to in graph.items():
        for unknown in sorted(to - graph.keys()):
            yield f"{room} -> {unknown}: no such room"
    for room, far in closure(graph).items():
        if room in far:
            yield f"{room}: its arrows lead back to itself"


def page_errors(declared, page):
    found = BLOCK.search(page)
    if not found:
        yield "ARCHITECTURE.md: no arrows block, expected '<!-- arrows -->' and a ``` block"
    elif found[2] != declared:
        ours, shown = set(declared.splitlines()), set(found[2].splitlines())
        for line in sorted(ours ^ shown):
            yield f"{'only in CMake' if line in ours else 'only in ARCHITECTURE.md'}: {line}"
        yield "ARCHITECTURE.md: not the graph that CMake declares; './dev check --fix' writes it"


def room_of(path, folders):
    """The room a source belongs to: the one with the deepest folder around it."""
    for folder in Path(path).parents:
        if str(folder) in folders:
            return folders[str(folder)]
    return None


def include_errors(graph, folders, source=ROOT / "src"):
    """An #include of another room needs an arrow to it, direct or through others. `folders`: {folder: room}."""
    reach = closure(graph)
    for path in sorted(p for p in source.rglob("*") if p.suffix in (".cpp", ".hpp", ".def", ".inc")):
        room = room_of(path.relative_to(source), folders)
        if room is None:
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            include = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            target = room_of(include[1], folders) if include and "/" in include[1] else None
            if target and target != room and target not in reach[room]:
                yield f"src/{path.relative_to(source)}:{number}: {room} includes {include[1]}, no arrow {room} -> {target}"


def write(declared):
    page = PAGE.read_text()
    PAGE.write_text(BLOCK.sub(lambda m: m[1] + declared + m[3], page))


def main(arguments):
    declared = Path(arguments[0]).read_text()
    if "--write" in arguments:
        write(declared)
    graph = parse(declared)
    rooms = (line.split() for line in Path(arguments[0]).with_name("rooms.txt").read_text().splitlines())
    folders = {folder: room for room, folder in rooms}
    errors = [*structure_errors(graph), *page_errors(declared, PAGE.read_text()), *include_errors(graph, folders)]
    print("\n".join(errors) if errors else f"{len(graph)} rooms, {sum(map(len, graph.values()))} arrows")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
