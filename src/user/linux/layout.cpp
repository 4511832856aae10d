#include "user/linux/layout.hpp"
#include <algorithm>
#include <cstring>

namespace mimic::user {
namespace {

u32 bytes_of(Kind k, Model m) {
    switch (k) {
    case Kind::s8:
    case Kind::u8:
    case Kind::bytes:
    case Kind::pad: return 1;
    case Kind::s16:
    case Kind::u16: return 2;
    case Kind::s32:
    case Kind::u32: return 4;
    case Kind::s64:
    case Kind::u64: return 8;
    case Kind::slong:
    case Kind::ulong: return m.long_bytes;
    }
    return 1;
}

u32 alignment(Kind k, Model m) {
    u32 bytes = bytes_of(k, m);
    return bytes == 8 ? m.align64 : bytes;
}

bool is_signed(Kind k) {
    return k == Kind::s8 || k == Kind::s16 || k == Kind::s32 || k == Kind::s64 || k == Kind::slong;
}

u32 round_up(u32 v, u32 to) { return (v + to - 1) / to * to; }

// Calls f(field, offset) for each; returns the size.
template <class F>
u32 walk(const Layout& layout, Model m, F f) {
    u32 at = 0, widest = 1;
    for (const Field& field : layout.fields) {
        u32 align = layout.packed ? 1 : alignment(field.kind, m);
        widest = std::max(widest, align);
        at = round_up(at, align);
        f(field, at);
        at += bytes_of(field.kind, m) * field.count;
    }
    return round_up(at, widest);
}

u64 sign_extend(u64 v, u32 bytes) {
    u32 shift = 64 - 8 * bytes;
    return u64(i64(v << shift) >> shift);
}

} // namespace

u64 load_int(const u8* at, u32 bytes, bool big) {
    u64 v = 0;
    for (u32 i = 0; i < bytes; i++) v |= u64(at[i]) << 8 * (big ? bytes - 1 - i : i);
    return v;
}

void store_int(u8* at, u32 bytes, bool big, u64 value) {
    for (u32 i = 0; i < bytes; i++) at[i] = u8(value >> 8 * (big ? bytes - 1 - i : i));
}

u32 size_of(const Layout& layout, Model model) {
    return walk(layout, model, [](const Field&, u32) {});
}

u32 offset_of(const Layout& layout, Model model, u32 index) {
    u32 result = size_of(layout, model);
    walk(layout, model, [&](const Field& f, u32 at) {
        if (&f == layout.fields.data() + index) result = at;
    });
    return result;
}

bool identical(const Layout& layout, Model model) {
    if (model.big) return false;
    bool same = true;
    u32 size = walk(layout, model, [&](const Field& f, u32 at) {
        if (f.host_bytes == 0) return; // padding
        same &= at == f.host_offset && bytes_of(f.kind, model) == f.host_bytes;
    });
    return same && size == layout.host_size;
}

void to_guest(const Layout& layout, Model model, const void* host, u8* guest) {
    std::memset(guest, 0, size_of(layout, model));
    walk(layout, model, [&](const Field& f, u32 at) {
        const u8* from = static_cast<const u8*>(host) + f.host_offset;
        if (f.host_bytes == 0) return; // padding
        if (f.kind == Kind::bytes) {
            std::memcpy(guest + at, from, f.count);
            return;
        }
        u32 bytes = bytes_of(f.kind, model);
        for (u32 i = 0; i < f.count; i++) {
            u64 v = load_int(from + i * f.host_bytes, f.host_bytes, false);
            if (is_signed(f.kind)) v = sign_extend(v, f.host_bytes);
            store_int(guest + at + i * bytes, bytes, model.big, v);
        }
    });
}

void from_guest(const Layout& layout, Model model, const u8* guest, void* host) {
    std::memset(host, 0, layout.host_size);
    walk(layout, model, [&](const Field& f, u32 at) {
        u8* to = static_cast<u8*>(host) + f.host_offset;
        if (f.host_bytes == 0) return;
        if (f.kind == Kind::bytes) {
            std::memcpy(to, guest + at, f.count);
            return;
        }
        u32 bytes = bytes_of(f.kind, model);
        for (u32 i = 0; i < f.count; i++) {
            u64 v = load_int(guest + at + i * bytes, bytes, model.big);
            if (is_signed(f.kind)) v = sign_extend(v, bytes);
            store_int(to + i * f.host_bytes, f.host_bytes, false, v);
        }
    });
}

} // namespace mimic::user
