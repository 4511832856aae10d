// Shapes of loads and stores: addressing modes and write-back (Arm ARM C1.3.3).
#pragma once
#include "isa/aarch64/semantics.hpp"
#include <bit>

namespace mimic::isa::aarch64 {

enum class At { scaled, unscaled, unprivileged, post, pre, indexed };

// The address of an access of `bytes` bytes; the base register is not written yet.
template <At A>
Val address_of(A64& t, const I& i, u32 bytes) {
    Val base = t.xsp(i[Rn]);
    switch (A) {
    case At::scaled: return base + i[imm12] * bytes;
    case At::unscaled:
    case At::unprivileged:
    case At::pre: return base + i[imm9];
    case At::post: return base;
    case At::indexed:
        return base + extended(t.x(i[Rm]), u32(i[option]), i[S] ? u32(std::countr_zero(bytes)) : 0, Type::i64);
    }
    return base;
}
// Write-back comes last, after what may fault. If a loaded register is the base too (CONSTRAINED UNPREDICTABLE), the
// address wins: `after` is taken before the register is written.
template <At A>
class WriteBack {
public:
    WriteBack(A64& t, const I& i, i64 amount) : t_(t), base_(i[Rn]) {
        if (writes) after_ = t.xsp(base_) + amount;
    }
    void commit() {
        if (writes) t_.xsp(base_, after_);
    }

private:
    static constexpr bool writes = A == At::post || A == At::pre;
    A64& t_;
    i64 base_;
    Val after_;
};
inline bool extends_index(const I& i) { return i[option] & 2; }

template <At A, Type M, bool Sign = false, Type Result = Type::i64>
void load(A64& t, const I& i) {
    WriteBack<A> base(t, i, i[imm9]);
    Val address = address_of<A>(t, i, ir::size_of(M));
    ir::MemArg m{.memory = M, .sign = Sign};
    Val v = A == At::unprivileged ? t.load_unprivileged(Result, address, m) : t.load(Result, address, m);
    t.x(i[Rt], v);
    base.commit();
}
template <At A, Type M>
void store(A64& t, const I& i) {
    WriteBack<A> base(t, i, i[imm9]);
    Val address = address_of<A>(t, i, ir::size_of(M)), v = t.x(i[Rt]).trunc(M);
    A == At::unprivileged ? t.store_unprivileged(address, v, {.memory = M}) : t.store(address, v, {.memory = M});
    base.commit();
}
template <At A, Type M>
void load_vector(A64& t, const I& i) {
    WriteBack<A> base(t, i, i[imm9]);
    Val v = t.load(M, address_of<A>(t, i, ir::size_of(M)), {.memory = M});
    t.v(i[Rt], v);
    base.commit();
}
template <At A, Type M>
void store_vector(A64& t, const I& i) {
    WriteBack<A> base(t, i, i[imm9]);
    t.store(address_of<A>(t, i, ir::size_of(M)), t.v(i[Rt], M), {.memory = M});
    base.commit();
}

// Single-copy atomic accesses must be aligned; with LSE2 it is enough that they do not cross 16 bytes (B2.5.2).
inline ir::Align atomic_alignment(A64& t) {
    return t.model().has(Feature::lse2) ? ir::Align::atomic16 : ir::Align::natural;
}

} // namespace mimic::isa::aarch64
