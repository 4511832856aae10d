# RISC-V unprivileged ISA, chapters F, D, Zfh, Zfa: canonical NaNs, tininess after rounding, conversions' limits.

# 20.3: every NaN result is the canonical one, whatever the payloads
add f32 | 0x7fc00001 0x3f800000 | riscv => 0x7fc00000
add f32 | 0x7f800001 0x3f800000 | riscv => 0x7fc00000 NV snan
add f32 | 0xffc12345 0xff812345 | riscv => 0x7fc00000 NV snan
sub f64 | 0x7ff0000000000000 0x7ff0000000000000 | riscv => 0x7ff8000000000000 NV isi
mul f64 | 0x0000000000000000 0xfff0000000000000 | riscv => 0x7ff8000000000000 NV imz
div f64 | 0x0000000000000000 0x8000000000000000 | riscv => 0x7ff8000000000000 NV zdz
div f64 | 0x7ff0000000000000 0xfff0000000000000 | riscv => 0x7ff8000000000000 NV idi
div f32 | 0x3f800000 0x80000000 | riscv => 0xff800000 DZ
div f32 | 0x7f800000 0x00000000 | riscv => 0x7f800000
sqrt f32 | 0xbf800000 | riscv => 0x7fc00000 NV sqrt
sqrt f32 | 0x80000000 | riscv => 0x80000000
sqrt f32 | 0x40000000 | riscv => 0x3fb504f3 NX

# the fused multiply-add raises NV for infinity times zero even with a quiet NaN as addend
fma f32 | 0x7f800000 0x00000000 0x7fc00000 | riscv => 0x7fc00000 NV imz
fma f32 | 0x7f800000 0x3f800000 0xff800000 | riscv => 0x7fc00000 NV isi
# FNMADD is -(a*b)-c: the zero's sign is that of the negated sum
fnma f32 | 0x3f800000 0x3f800000 0xbf800000 | riscv rne => 0x0
fnma f32 | 0x3f800000 0x3f800000 0xbf800000 | riscv rdn => 0x80000000
fnma f32 | 0x3f800000 0x3f800000 0x3f800000 | riscv => 0xc0000000
fnms f32 | 0x3f800000 0x3f800000 0x3f800000 | riscv => 0x0
fms f32 | 0x40000000 0x40000000 0x3f800000 | riscv => 0x40400000

# rounding: 1 + 2^-24 is a tie in single precision
add f32 | 0x3f800000 0x33800000 | riscv rne => 0x3f800000 NX
add f32 | 0x3f800000 0x33800000 | riscv rna => 0x3f800001 NX
add f32 | 0x3f800000 0x33800000 | riscv rup => 0x3f800001 NX
add f32 | 0x3f800000 0x33800000 | riscv rdn => 0x3f800000 NX
add f32 | 0xbf800000 0xb3800000 | riscv rdn => 0xbf800001 NX
add f32 | 0x3f800000 0x33800000 | riscv rtz => 0x3f800000 NX
add f32 | 0x3f800000 0x33800000 | riscv odd => 0x3f800001 NX
add f32 | 0x3f800000 0xbf800000 | riscv rdn => 0x80000000
add f32 | 0x3f800000 0xbf800000 | riscv rup => 0x0
mul f32 | 0x7f7fffff 0x40000000 | riscv rne => 0x7f800000 OF NX
mul f32 | 0x7f7fffff 0x40000000 | riscv rtz => 0x7f7fffff OF NX
mul f32 | 0x7f7fffff 0x40000000 | riscv rdn => 0x7f7fffff OF NX
mul f32 | 0x7f7fffff 0x40000000 | riscv odd => 0x7f7fffff OF NX
mul f32 | 0xff7fffff 0x40000000 | riscv rdn => 0xff800000 OF NX

# tininess after rounding: 2^-126 (1 - 2^-46) rounds to 2^-126 with 24 bits and no bound, hence no underflow
mul f32 | 0x3f800001 0x007fffff | riscv => 0x800000 NX
fma f32 | 0x1a000000 0x99800000 0x00800000 | riscv => 0x800000 NX
mul f32 | 0x3f7fffff 0x00800000 | riscv => 0x800000 UF NX
mul f32 | 0x00800000 0x3f000000 | riscv => 0x400000
mul f32 | 0x00000001 0x3f000000 | riscv => 0x0 UF NX
mul f32 | 0x00000001 0x3f000000 | riscv rup => 0x1 UF NX

# FMIN and FMAX are minimumNumber and maximumNumber; -0 < +0
minimum_number f32 | 0x7fc00000 0x3f800000 | riscv => 0x3f800000
minimum_number f32 | 0x7f800001 0x3f800000 | riscv => 0x3f800000 NV
maximum_number f32 | 0x3f800000 0x7f800001 | riscv => 0x3f800000 NV
minimum_number f32 | 0x7fc00001 0xffc00001 | riscv => 0x7fc00000
minimum_number f32 | 0x7fc00001 0xff800001 | riscv => 0x7fc00000 NV
minimum_number f32 | 0x0 0x80000000 | riscv => 0x80000000
maximum_number f32 | 0x80000000 0x0 | riscv => 0x0
# Zfa: FMINM and FMAXM propagate
minimum f32 | 0x7fc00000 0x3f800000 | riscv => 0x7fc00000
maximum f32 | 0x3f800000 0x7f800001 | riscv => 0x7fc00000 NV

# FEQ is quiet, FLT and FLE signal (0 less, 1 equal, 2 greater, 3 unordered)
compare f32 | 0x7fc00000 0x3f800000 | riscv => 0x3
compare f32 | 0x7f800001 0x3f800000 | riscv => 0x3 NV
compare_signalling f32 | 0x7fc00000 0x3f800000 | riscv => 0x3 NV
compare f32 | 0x80000000 0x0 | riscv => 0x1
compare f64 | 0xbff0000000000000 0x8000000000000001 | riscv => 0x0
compare f64 | 0x7ff0000000000000 0x7fefffffffffffff | riscv => 0x2

# table of FCVT's limits: NaN is as +infinity
to_i32 f32 | 0x7fc00000 | riscv => 0x7fffffff NV
to_i32 f32 | 0xff800000 | riscv => 0x80000000 NV
to_u32 f32 | 0xffc00000 | riscv => 0xffffffff NV
to_u32 f32 | 0xbf800000 | riscv rtz => 0x0 NV
to_u32 f32 | 0xbf000000 | riscv rtz => 0x0 NX
to_u32 f32 | 0xbf7fffff | riscv rtz => 0x0 NX
to_u32 f32 | 0xbf7fffff | riscv rdn => 0x0 NV
to_u64 f64 | 0x43f0000000000000 | riscv => 0xffffffffffffffff NV
to_u64 f64 | 0x43efffffffffffff | riscv => 0xfffffffffffff800
to_i64 f64 | 0xc3e0000000000000 | riscv => 0x8000000000000000
to_i64 f64 | 0x43e0000000000000 | riscv => 0x7fffffffffffffff NV
to_i32 f64 | 0x41dfffffffe00000 | riscv rne => 0x7fffffff NV
to_i32 f64 | 0x41dfffffffe00000 | riscv rtz => 0x7fffffff NX
to_i32 f32 | 0x40200000 | riscv rne => 0x2 NX
to_i32 f32 | 0x40200000 | riscv rna => 0x3 NX
to_i32 f32 | 0x40600000 | riscv rne => 0x4 NX
to_i32 f32 | 0xc0200000 | riscv rna => 0xfffffffd NX
to_i128 f128 | 0x407e0000000000000000000000000000 | riscv => 0x7fffffffffffffffffffffffffffffff NV
to_u128 f128 | 0x407e0000000000000000000000000000 | riscv => 0x80000000000000000000000000000000
from_i64 f32 | 0xffffffffffffffff | riscv => 0xbf800000
from_u64 f32 | 0xffffffffffffffff | riscv => 0x5f800000 NX
from_u64 f64 | 0xffffffffffffffff | riscv rtz => 0x43efffffffffffff NX
from_i64 f128 | 0x8000000000000001 | riscv => 0xc03dfffffffffffffffc000000000000

# Zfa FCVTMOD.W.D: modulo 2^32, flags as FCVT.W.D
to_i32_modular f64 | 0x41f0000000100000 | riscv => 0x1 NV
to_i32_modular f64 | 0xc1f0000000100000 | riscv => 0xffffffff NV
to_i32_modular f64 | 0x3ff8000000000000 | riscv => 0x1 NX
to_i32_modular f64 | 0x7ff0000000000000 | riscv => 0x0 NV
to_i32_modular f64 | 0x7ff8000000000000 | riscv => 0x0 NV
to_i32_modular f64 | 0x4530000000000001 | riscv => 0x0 NV
to_i32_modular f64 | 0x4340000000000001 | riscv => 0x2 NV

# Zfa FROUND leaves NX alone, FROUNDNX raises it
round f32 | 0x3fc00000 | riscv rne => 0x40000000
round_exact f32 | 0x3fc00000 | riscv rne => 0x40000000 NX
round_exact f32 | 0xbe800000 | riscv rup => 0x80000000 NX
round f32 | 0x7f800001 | riscv => 0x7fc00000 NV

# FCLASS
class f32 | 0xff800000 | riscv => 0x1
class f32 | 0xbf800000 | riscv => 0x2
class f32 | 0x80000001 | riscv => 0x4
class f32 | 0x80000000 | riscv => 0x8
class f32 | 0x00000000 | riscv => 0x10
class f32 | 0x00000001 | riscv => 0x20
class f32 | 0x3f800000 | riscv => 0x40
class f32 | 0x7f800000 | riscv => 0x80
class f32 | 0x7f800001 | riscv => 0x100
class f32 | 0xffc00000 | riscv => 0x200

# formats
convert f64 f32 | 0x3ff0000010000000 | riscv rne => 0x3f800000 NX
convert f64 f32 | 0x3ff0000010000000 | riscv odd => 0x3f800001 NX
convert f32 f16 | 0x477ff000 | riscv => 0x7c00 OF NX
convert f32 f16 | 0x477fefff | riscv => 0x7bff NX
convert f32 bf16 | 0x3f808000 | riscv => 0x3f80 NX
convert f32 bf16 | 0x3f818000 | riscv => 0x3f82 NX
convert f16 f32 | 0x0001 | riscv => 0x33800000
convert f64 f128 | 0x0000000000000001 | riscv => 0x3bcd0000000000000000000000000000
add f128 | 0x3fff0000000000000000000000000000 0x3f8e0000000000000000000000000000 | riscv => 0x3fff0000000000000000000000000000 NX
add f128 | 0x3fff0000000000000000000000000000 0x3f8e0000000000000000000000000001 | riscv => 0x3fff0000000000000000000000000001 NX
scale_b f64 | 0x3ff0000000000000 0xfffffbce | riscv => 0x1
scale_b f64 | 0x3ff0000000000000 0x7fffffff | riscv => 0x7ff0000000000000 OF NX
log_b f32 | 0x00000001 | riscv => 0xc3150000
log_b f32 | 0x00000000 | riscv => 0xff800000 DZ
