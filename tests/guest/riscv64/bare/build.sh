#!/bin/sh
# build.sh SOURCE.c OUT.elf OUT.bin: a program without an operating system for RISC-V 64.
set -e
here=$(dirname "$0")
riscv64-linux-gnu-gcc -nostdlib -nostartfiles -static -ffreestanding -O2 -Wall -Wextra -march=rv64gc_zba_zbb_zicsr_zifencei \
    -mabi=lp64d -mcmodel=medany -fno-pic -fno-pie -no-pie -fno-stack-protector -msmall-data-limit=0 -I"$here" -T "$here/link.ld" \
    -Wl,--build-id=none -Wl,--no-warn-rwx-segments -Wl,--no-relax "$here/start.S" "$here/runtime.c" \
    "$here/../../system/text.c" "$1" -o "$2" -lgcc
riscv64-linux-gnu-objcopy -O binary "$2" "$3"
