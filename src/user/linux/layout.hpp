// Structure layouts as data: what a structure of the kernel's interface holds, once; where each ABI puts it follows
// from the ABI's rules (size of long, alignment of 64-bit integers, byte order).
//
//   constexpr Field timespec[] = {FIELD(struct timespec, tv_sec, slong), FIELD(struct timespec, tv_nsec, slong)};
//   to_guest(layout, model, &host, bytes);   from_guest(layout, model, bytes, &host);
#pragma once
#include "base/types.hpp"
#include <span>

namespace mimic::user {

// Types of an ABI's fields. slong and ulong have the size of the ABI's long, which is that of its pointers.
enum class Kind : u8 { s8, u8, s16, u16, s32, u32, s64, u64, slong, ulong, bytes, pad };

struct Field {
    const char* name = "";
    Kind kind = Kind::pad;
    u16 count = 1;       // elements; bytes and pad: bytes
    u16 host_offset = 0; // where the host's structure has it; pad has none
    u8 host_bytes = 0;   // size of one element there
};

// The rules by which an ABI lays structures out.
struct Model {
    u8 long_bytes = 8;
    u8 align64 = 8; // alignment of 64-bit integers: 4 on m68k and i386 style ABIs
    bool big = false;
    bool operator==(const Model&) const = default;
};
inline constexpr Model host_model{}; // hosts are 64-bit little-endian

struct Layout {
    const char* name = "";
    std::span<const Field> fields;
    u16 host_size = 0;
    bool packed = false; // no alignment at all (epoll_event of x86-64)
};

// Largest size of any structure in any model; callers' buffers.
inline constexpr u32 max_struct = 512;

// Bytes of the guest's structure.
u32 size_of(const Layout& layout, Model model);
// Offset of the field with this index, or of the end for fields.size().
u32 offset_of(const Layout& layout, Model model, u32 field);
// True when host and guest bytes are the same, so that the kernel can work on guest memory directly.
bool identical(const Layout& layout, Model model);
// Values that don't fit a narrower guest field are truncated; padding becomes zero.
void to_guest(const Layout& layout, Model model, const void* host, u8* guest);
void from_guest(const Layout& layout, Model model, const u8* guest, void* host);

// An integer of `bytes` bytes in a model's byte order.
u64 load_int(const u8* at, u32 bytes, bool big);
void store_int(u8* at, u32 bytes, bool big, u64 value);

#define FIELD(type, member, kind_)                                                                                     \
    ::mimic::user::Field {                                                                                             \
#        member, ::mimic::user::Kind::kind_, 1, offsetof(type, member), sizeof(((type*)nullptr)->member)               \
    }
// `n` elements of an array member.
#define FIELDS(type, member, kind_, n)                                                                                 \
    ::mimic::user::Field {                                                                                             \
#        member, ::mimic::user::Kind::kind_, n, offsetof(type, member), sizeof(((type*)nullptr)->member) / (n)         \
    }
// `n` longs that mean nothing (n = 0: aligns what follows as a long).
#define PADDING_LONGS(n)                                                                                               \
    ::mimic::user::Field { "", ::mimic::user::Kind::ulong, n, 0, 0 }
#define PADDING(n)                                                                                                     \
    ::mimic::user::Field { "", ::mimic::user::Kind::pad, n, 0, 0 }

} // namespace mimic::user
