#include "memory/dispatch.hpp"

namespace mimic::memory {

namespace {

// The devices that this thread is inside of, innermost first. Lives on the stack of the accesses.
struct Entered {
    const Handler* handler;
    const Entered* outer;
};
thread_local const Entered* entered = nullptr;

class Entry {
public:
    explicit Entry(const Handler& handler) : self_{&handler, entered} {
        for (const Entered* e = entered; e; e = e->outer) again_ |= e->handler == &handler;
        entered = &self_;
    }
    ~Entry() { entered = self_.outer; }
    Entry(const Entry&) = delete;
    bool again() const { return again_; }

private:
    Entered self_;
    bool again_ = false;
};

u64 mask(u32 bytes) { return bytes >= 8 ? ~u64{0} : (u64{1} << (8 * bytes)) - 1; }

u64 swapped(u64 value, u32 bytes) { return __builtin_bswap64(value) >> (64 - 8 * bytes); }

bool accepted(const AccessRules& rules, u64 offset, u32 bytes) {
    return bytes >= rules.min && bytes <= rules.max && (rules.unaligned || offset % bytes == 0);
}

// The largest implemented size that is aligned and inside the access; below the smallest one, that.
u32 piece(const AccessRules& rules, u64 offset, u32 left) {
    u32 n = rules.implemented_max;
    while (n > rules.implemented_min && (n > left || offset % n)) n /= 2;
    return n;
}

} // namespace

Outcome device_read(Handler& handler, const AccessRules& rules, u64 offset, u32 bytes, u64& value, Attributes a) {
    value = 0;
    if (!accepted(rules, offset, bytes)) return Outcome::device_error;
    Entry entry(handler);
    if (entry.again()) return Outcome::device_error;
    for (u32 done = 0; done < bytes;) {
        u64 at = offset + done;
        u32 n = piece(rules, at, bytes - done);
        u32 skip = u32(at % n); // the access begins inside a wider word
        u64 part = 0;
        Outcome outcome = handler.read(at - skip, n, part, a);
        if (outcome != Outcome::ok) return outcome;
        if (rules.big_endian) part = swapped(part & mask(n), n);
        u32 used = n - skip < bytes - done ? n - skip : bytes - done;
        value |= (part >> (8 * skip) & mask(used)) << (8 * done);
        done += used;
    }
    return Outcome::ok;
}

Outcome device_write(Handler& handler, const AccessRules& rules, u64 offset, u32 bytes, u64 value, Attributes a) {
    if (!accepted(rules, offset, bytes)) return Outcome::device_error;
    Entry entry(handler);
    if (entry.again()) return Outcome::device_error;
    for (u32 done = 0; done < bytes;) {
        u64 at = offset + done;
        u32 n = piece(rules, at, bytes - done);
        u32 skip = u32(at % n);
        u32 used = n - skip < bytes - done ? n - skip : bytes - done;
        // Lanes of a wider word that the access does not drive are zero.
        u64 part = (value >> (8 * done) & mask(used)) << (8 * skip);
        if (rules.big_endian) part = swapped(part, n);
        Outcome outcome = handler.write(at - skip, n, part, a);
        if (outcome != Outcome::ok) return outcome;
        done += used;
    }
    return Outcome::ok;
}

} // namespace mimic::memory
