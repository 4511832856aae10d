#!/bin/sh
# build.sh SOURCE.c OUT.elf OUT.bin: a program without an operating system for AArch64.
set -e
here=$(dirname "$0")
aarch64-linux-gnu-gcc -nostdlib -nostartfiles -static -ffreestanding -O2 -Wall -Wextra -march=armv8.2-a -mgeneral-regs-only \
    -mstrict-align -mno-outline-atomics -fno-pic -fno-pie -no-pie -fno-stack-protector -I"$here" -T "$here/link.ld" \
    -Wl,--build-id=none -Wl,--no-warn-rwx-segments "$here/start.S" "$here/runtime.c" \
    "$here/../../system/text.c" "$1" -o "$2"
aarch64-linux-gnu-objcopy -O binary "$2" "$3"
