"""Writes cold.c: many functions, all different, each called a few times at most: translation cost, not speed."""

import random
import sys


def expression(chance, depth):
    if depth == 0:
        return chance.choice(("a", "b", "c", f"{chance.randrange(1, 1 << chance.randrange(3, 30))}u"))
    left, right = expression(chance, depth - 1), expression(chance, depth - 1)
    shift = chance.randrange(1, 31)
    return chance.choice((f"({left} + {right})", f"({left} ^ {right})", f"({left} - {right})", f"({left} & ~{right})",
                          f"({left} * {right})", f"(({left} >> {shift}) | {right})", f"(({left} << {shift}) ^ {right})"))


def function(chance, number):
    return (f"static NOINLINE uint32_t f{number}(uint32_t a, uint32_t b, uint32_t* t) {{\n"
            f"    uint32_t c = t[{chance.randrange(64)}];\n"
            f"    if ({expression(chance, 1)} > b) c += {expression(chance, 2)};\n"
            f"    else t[{chance.randrange(64)}] = {expression(chance, 2)};\n"
            f"    return {expression(chance, 2)};\n}}\n")


def main(count):
    chance = random.Random(1)
    print("// class: cold  size: 1  quick: 1\n"
          f"// {count} functions, SIZE calls each. Made by make_cold.py.\n"
          '#include "bench.h"\n'
          "typedef uint32_t function(uint32_t, uint32_t, uint32_t*);")
    for number in range(count):
        print(function(chance, number), end="")
    print("static function* const all[] = {")
    for number in range(count):
        print(f"f{number},")
    print(f"""}};
int main(int argc, char** argv) {{
    uint64_t size = size_argument(argc, argv), sum = 0;
    static uint32_t t[64];
    for (uint64_t round = 0; round < size; round++)
        for (uint32_t i = 0; i < {count}; i++) sum = mix(sum, all[i](i, (uint32_t)sum, t));
    return report(sum);
}}""")


if __name__ == "__main__":
    main(int(sys.argv[1]))
