# Arm ARM, shared/functions/float pseudocode.

# FPProcessNaNs: the first signalling NaN, then the first quiet one
add f32 | 0x7fc00001 0x7f800002 | aarch64 => 0x7fc00002 NV
add f32 | 0xff800001 0x7f800002 | aarch64 => 0xffc00001 NV
add f32 | 0x7fc00001 0xffc00002 | aarch64 => 0x7fc00001
add f32 | 0x3f800000 0xffc00002 | aarch64 => 0xffc00002
add f32 | 0x3f800000 0xffc00002 | aarch64 dn => 0x7fc00000
sub f32 | 0x7f800000 0x7f800000 | aarch64 => 0x7fc00000 NV
mul f16 | 0x7c00 0x0000 | aarch64 => 0x7e00 NV

# FPMulAdd: the addend comes first; infinity * 0 + quiet NaN is the default NaN and Invalid Operation
fma f32 | 0x7fc00001 0x7fc00002 0x7fc00003 | aarch64 => 0x7fc00003
fma f32 | 0x7fc00001 0x7f800002 0x7fc00003 | aarch64 => 0x7fc00002 NV
fma f32 | 0x7f800001 0x7f800002 0x7f800003 | aarch64 => 0x7fc00003 NV
fma f32 | 0x7f800000 0x00000000 0x7fc00003 | aarch64 => 0x7fc00000 NV
fma f32 | 0x7f800000 0x00000000 0xff800003 | aarch64 => 0xffc00003 NV
fma_halved f32 | 0x3f800000 0x3f800000 0x40400000 | aarch64 => 0x40000000

# FZ: operands and results; IDC for operands, UFC alone for results; tininess before rounding
add f32 | 0x00000001 0x3f800000 | aarch64 fz => 0x3f800000 ID
add f32 | 0x80000001 0x80000000 | aarch64 fz => 0x80000000 ID
mul f32 | 0x00800000 0x3f000000 | aarch64 fz => 0x0 UF
fma f32 | 0x1a000000 0x99800000 0x00800000 | aarch64 fz => 0x0 UF
mul f32 | 0x3f800001 0x007fffff | aarch64 => 0x800000 UF NX
fma f32 | 0x1a000000 0x99800000 0x00800000 | aarch64 => 0x800000 UF NX
fma f32 | 0x1a000000 0x19800000 0x80800000 | aarch64 fz => 0x80000000 UF
add f16 | 0x0001 0x0001 | aarch64 fz => 0x2
add f16 | 0x0001 0x3c00 | aarch64 fz16 => 0x3c00
mul f16 | 0x0400 0x3800 | aarch64 fz16 => 0x0 UF
compare f32 | 0x00000001 0x00000000 | aarch64 fz => 0x1 ID

# FPToFixed: NaN gives 0, the rest saturates
to_i32 f32 | 0x7fc00000 | aarch64 => 0x0 NV
to_i32 f32 | 0x7f800000 | aarch64 => 0x7fffffff NV
to_u32 f32 | 0xbf800000 | aarch64 rtz => 0x0 NV
to_i64 f64 | 0xc3e0000000000001 | aarch64 => 0x8000000000000000 NV
to_i32 f32 | 0x00000001 | aarch64 fz rup => 0x0 ID

# FJCVTZS
to_i32_modular f64 | 0xc1e0000000200000 | aarch64 => 0x7fffffff NV
to_i32_modular f64 | 0x43f8000000000000 | aarch64 => 0x0 NV

# FMIN, FMAX and FMINNM, FMAXNM
minimum f32 | 0x7fc00001 0x3f800000 | aarch64 => 0x7fc00001
minimum f32 | 0x0 0x80000000 | aarch64 => 0x80000000
min_num f32 | 0x7fc00001 0x3f800000 | aarch64 => 0x3f800000
max_num f32 | 0x7f800001 0x3f800000 | aarch64 => 0x7fc00001 NV
max_num f32 | 0x7fc00001 0x7f800002 | aarch64 => 0x7fc00002 NV
max_num f32 | 0x80000000 0x0 | aarch64 => 0x0

# FCVTXN rounds to odd; overflow gives the greatest number
convert f64 f32 | 0x7fefffffffffffff | aarch64 odd => 0x7f7fffff OF NX
convert f64 f32 | 0x3ff0000000000001 | aarch64 odd => 0x3f800001 NX
# NaN payloads keep their leading bits
convert f64 f32 | 0x7ff0000020000000 | aarch64 => 0x7fc00001 NV
convert f32 f64 | 0xffc00001 | aarch64 => 0xfff8000020000000
convert f32 f16 | 0x7fc02000 | aarch64 => 0x7e01

# Alternative half precision: no NaN and no infinity, Invalid Operation instead, never Overflow
convert f32 f16alt | 0x7fc00000 | aarch64 => 0x0 NV
convert f32 f16alt | 0xff800000 | aarch64 => 0xffff NV
convert f32 f16alt | 0x47fff000 | aarch64 => 0x7fff NV
convert f32 f16alt | 0x47ffe000 | aarch64 => 0x7fff
convert f32 f16alt | 0x47800000 | aarch64 => 0x7c00
convert f16alt f32 | 0x7c00 | aarch64 => 0x47800000
convert f16alt f64 | 0xffff | aarch64 => 0xc0fffc0000000000
