# Rules of the remaining guests, one manual a paragraph (env.hpp names them).

# PowerPC: FRA, then FRB (the addend), then FRC; VX causes; conversions of NaN give the least integer
add f64 | 0x7ff8000000000001 0x7ff0000000000002 | ppc => 0x7ff8000000000001 NV snan
fma f64 | 0x3ff0000000000000 0x7ff8000000000002 0x7ff8000000000003 | ppc => 0x7ff8000000000003
fma f64 | 0x7ff0000000000000 0x0000000000000000 0x7ff8000000000003 | ppc => 0x7ff8000000000003 NV imz
fma f64 | 0x7ff0000000000000 0x0000000000000000 0x7ff0000000000003 | ppc => 0x7ff8000000000003 NV imz snan
fma_then_negate f64 | 0x3ff0000000000000 0x3ff0000000000000 0xbff0000000000000 | ppc => 0x8000000000000000
fma_then_negate f64 | 0x3ff0000000000000 0x3ff0000000000000 0x7ff8000000000000 | ppc => 0x7ff8000000000000
to_i32 f64 | 0x7ff8000000000000 | ppc => 0x80000000 NV cvi
to_u32 f64 | 0x7ff0000000000001 | ppc => 0x0 NV cvi snan
compare_signalling f64 | 0x7ff0000000000001 0x0 | ppc => 0x3 NV snan vc
min_second f64 | 0x7ff0000000000001 0x3ff0000000000000 | ppc => 0x3ff0000000000000 NV snan
max_second f64 | 0x3ff0000000000000 0x7ff8000000000001 | ppc => 0x7ff8000000000001

# MIPS, NAN2008=0: the top fraction bit means signalling; the default NaN is 0x7fbfffff
add f32 | 0x7fc00000 0x3f800000 | mips => 0x7fbfffff NV snan
add f32 | 0x7f800001 0x3f800000 | mips => 0x7f800001
class f32 | 0x7fbfffff | mips => 0x200
class f32 | 0x7fc00000 | mips => 0x100
sub f32 | 0x7f800000 0x7f800000 | mips => 0x7fbfffff NV
sub f64 | 0x7ff0000000000000 0x7ff0000000000000 | mips => 0x7ff7ffffffffffff NV
to_i32 f32 | 0xff800000 | mips => 0x7fffffff NV
convert f64 f32 | 0x7ff0000000000001 | mips => 0x7fbfffff

# SPARC: rs2 before rs1, default NaN all ones
add f32 | 0x7fc00001 0x7fc00002 | sparc => 0x7fc00002
add f32 | 0x7f800001 0x7fc00002 | sparc => 0x7fc00001 NV
sub f32 | 0x7f800000 0x7f800000 | sparc => 0x7fffffff NV

# s390x: signalling first; NaN converts to the least integer
add f32 | 0x7fc00001 0x7f800002 | s390x => 0x7fc00002 NV
to_i64 f64 | 0x7ff8000000000000 | s390x => 0x8000000000000000 NV

# 68881 extended: a zero exponent is 2^-16383, unnormals count, infinity's integer bit does not
class f80m68k | 0x00008000000000000000 | m68k => 0x40
class f80m68k | 0x00004000000000000000 | m68k => 0x20
class f80m68k | 0x7fff8000000000000000 | m68k => 0x80
add f80m68k | 0x3fff4000000000000000 0x3fff4000000000000000 | m68k => 0x3fff8000000000000000
add f80m68k | 0x00008000000000000000 0x00008000000000000000 | m68k => 0x18000000000000000
convert f80m68k f80 | 0x00008000000000000000 | m68k => 0x4000000000000000
convert f64 f80m68k | 0x7ff0000000000000 | m68k => 0x7fff0000000000000000

# x87: pseudo-denormals are numbers, unnormals are not; the larger significand wins
add f80 | 0x00008000000000000000 0x00000000000000000000 | x87 => 0x18000000000000000
add f80 | 0x3fff4000000000000000 0x3fff8000000000000000 | x87 => 0xffffc000000000000000 NV
add f80 | 0x7fffc000000000000001 0xffffc000000000000002 | x87 => 0xffffc000000000000002
add f80 | 0x7fffc000000000000001 0x7fff8000000000000002 | x87 => 0x7fffc000000000000001 NV
class f80 | 0x3fff4000000000000000 | x87 => 0x400

# x86: the first NaN; indefinite integers; FTZ raises underflow and precision
add f32 | 0x7f800001 0x7fc00002 | x86 => 0x7fc00001 NV
fma f32 | 0x7f800000 0x00000000 0x7fc00003 | x86 => 0x7fc00003
sub f32 | 0x7f800000 0x7f800000 | x86 => 0xffc00000 NV
mul f32 | 0x00800000 0x3f000000 | x86 ftz => 0x0 UF NX
to_i32 f32 | 0x4f800000 | x86 => 0x80000000 NV
to_u32 f32 | 0xbf800000 | x86 => 0xffffffff NV

# IEEE remainder: ties to even quotients, the sign of a zero is the dividend's
remainder f64 | 0x4014000000000000 0x4000000000000000 | riscv => 0x3ff0000000000000
remainder f64 | 0x4008000000000000 0x4000000000000000 | riscv => 0xbff0000000000000
remainder f64 | 0xc010000000000000 0x4000000000000000 | riscv => 0x8000000000000000
remainder f64 | 0x7fefffffffffffff 0x0000000000000001 | riscv => 0x0
remainder f64 | 0x7ff0000000000000 0x3ff0000000000000 | riscv => 0x7ff8000000000000 NV rem
min_num_magnitude f32 | 0xc0000000 0x3f800000 | riscv => 0x3f800000
