// The decoder of a pattern-described ISA: an index over the rows of the features that a CPU model has, built on first
// use; then printing and assembling of single instructions.
#pragma once
#include "base/result.hpp"
#include "isa/row.hpp"
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace mimic::isa {

// Reads `bytes` bytes as the bits of a pattern, 1 to 8.
inline u64 pack_bits(const u8* p, u32 bytes, Layout l) {
    u64 word = 0;
    if (std::endian::native == std::endian::little && !l.big && !l.left_aligned &&
        (bytes == l.unit || !l.first_is_high)) {
        u32 four;
        u16 two;
        if (bytes == 4) return std::memcpy(&four, p, 4), four;
        if (bytes == 2) return std::memcpy(&two, p, 2), two;
    }
    for (u32 at = 0; at < bytes; at += l.unit) {
        u64 unit = 0;
        for (u32 k = 0; k < l.unit; ++k) unit |= u64(p[at + k]) << 8 * (l.big ? l.unit - 1 - k : k);
        u32 place = l.first_is_high ? bytes - l.unit - at : at;
        word |= unit << 8 * place;
    }
    return word << (l.top(8 * bytes) - 8 * bytes);
}
inline void unpack_bits(u64 word, u8* p, u32 bytes, Layout l) {
    word >>= l.top(8 * bytes) - 8 * bytes;
    for (u32 at = 0; at < bytes; at += l.unit) {
        u32 place = l.first_is_high ? bytes - l.unit - at : at;
        u64 unit = word >> 8 * place;
        for (u32 k = 0; k < l.unit; ++k) p[at + k] = u8(unit >> 8 * (l.big ? l.unit - 1 - k : k));
    }
}

template <class Isa>
class Decoder {
public:
    using R = Row<Isa>;
    using I = Insn<Isa>;

    // Rows of tables whose feature `has` accepts. The index is made by the first decode: a program whose code is all in a cache
    // needs none.
    template <class Has>
    Decoder(std::span<const Table<Isa>> tables, Has&& has) {
        u32 count = 0;
        for (const Table<Isa>& t : tables)
            if (has(t.feature)) runs_.push_back({t.rows, t.name, count}), count += u32(t.rows.size());
        rows_.reserve(count);
        for (const Run& run : runs_)
            for (const R& r : run.rows) rows_.push_back(&r);
        std::sort(runs_.begin(), runs_.end(), [](auto& a, auto& b) { return a.rows.data() < b.rows.data(); });
    }

    std::span<const R* const> rows() const { return rows_; }
    // The place of a row in rows().
    u32 number(const R* r) const {
        const Run& run = run_of(r);
        return run.first + u32(r - run.rows.data());
    }
    // The name of the table that row n stands in.
    std::string_view table(u32 n) const { return run_of(rows_[n]).name; }

    // Decodes what stands at `code`. Fills the instruction and returns true; false: illegal, or more bytes needed than
    // there are (length says how many it would take; 0 when even that is unknown).
    bool decode(std::span<const u8> code, u64 pc, const typename Isa::Context& context, I& out) const {
        out = {.pc = pc, .context = context};
        if (code.size() < Isa::layout.unit) return false;
        if constexpr (requires { Isa::length(u64{}, context); }) {
            Layout unit{.unit = Isa::layout.unit, .big = Isa::layout.big};
            out.length = Isa::length(pack_bits(code.data(), unit.unit, unit), context);
            return code.size() >= out.length && out.length <= 8 && match(out.length, code, out);
        } else {
            const Index& x = index();
            for (u32 w = 1; w <= 8; ++w) {
                if (x.root[w] == none_) continue;
                if (code.size() < w && could_match(w, code)) {
                    out.length = w;
                    return false;
                }
                if (code.size() >= w && match(w, code, out)) return true;
                if (out.length > code.size()) return false;
            }
            out.length = Isa::layout.unit;
            return false;
        }
    }

    static void print(std::string& out, const I& i) {
        std::string_view s = i.row->syntax;
        for (std::size_t p = 0; p < s.size(); ++p) {
            if (s[p] == ' ' && p + 1 < s.size() && s[p + 1] == ' ') continue;
            if (s[p] != '{') {
                out += s[p];
                continue;
            }
            auto end = s.find('}', p);
            print_operand(out, i, s.substr(p + 1, end - p - 1));
            p = end;
        }
        while (!out.empty() && out.back() == ' ') out.pop_back();
    }

    // Assembles one instruction at pc; tries the rows in order, the shortest encoding first.
    Result<std::vector<u8>> assemble(std::string_view text, u64 pc, const typename Isa::Context& context) const {
        for (u32 w = 1; w <= 8; ++w) {
            for (const R* r : rows_) {
                if (r->bits / 8 != w) continue;
                I i{.bits = r->match, .pc = pc, .length = w, .context = context, .row = r};
                if (parse(text, i) && (!r->valid || r->valid(i))) return encode(i);
            }
        }
        return Error::invalid_argument("cannot assemble '{}': no instruction has this form", text);
    }
    static std::vector<u8> encode(const I& i) {
        std::vector<u8> out(i.row->bits / 8);
        unpack_bits(i.bits, out.data(), u32(out.size()), Isa::layout);
        if constexpr (requires { Isa::append(i, out); }) Isa::append(i, out);
        return out;
    }

    // Matches text against the syntax of i.row, setting fields. Spaces: any number where the syntax has one.
    static bool parse(std::string_view text, I& i) {
        Cursor in{text};
        std::string_view s = i.row->syntax;
        in.skip_spaces();
        for (std::size_t p = 0; p < s.size(); ++p) {
            if (s[p] == ' ') {
                in.skip_spaces();
                continue;
            }
            if (s[p] != '{') {
                if (!in.eat(s[p])) return false;
                if (s[p] == ',') in.skip_spaces();
                continue;
            }
            auto end = s.find('}', p);
            if (!parse_operand(in, i, s.substr(p + 1, end - p - 1))) return false;
            p = end;
        }
        in.skip_spaces();
        return in.done();
    }

    // Pairs of rows that claim the same bits, although neither is a special case of the other nor has a predicate: a
    // mistake in the tables. Test only: quadratic.
    std::vector<std::string> conflicts() const {
        std::vector<std::string> out;
        for (std::size_t n = 0; n < rows_.size(); ++n)
            for (std::size_t k = 0; k < n; ++k) {
                const R &a = *rows_[n], &b = *rows_[k];
                u64 both = a.mask & b.mask;
                bool special = a.mask != b.mask && (both == a.mask || both == b.mask);
                if (a.bits != b.bits || ((a.match ^ b.match) & both) || special || a.valid || b.valid) continue;
                out.push_back(fmt::format("'{}' and '{}'", a.syntax, b.syntax));
            }
        return out;
    }

private:
    static constexpr u32 none_ = ~0u; // of the references below
    struct Run {                      // rows of one table, its name, and the first row's number
        std::span<const R> rows;
        std::string_view name;
        u32 first;
    };
    const Run& run_of(const R* r) const {
        return *std::prev(std::upper_bound(runs_.begin(), runs_.end(), r,
                                           [](const R* at, const Run& run) { return at < run.rows.data(); }));
    }
    struct Choice { // a row while the index is made: its number and the child that it belongs to; small, for its pages
        u32 row, child = 0;
    };
    // What a word leads to: a node, or up to `leaf_rows` rows from a place in leaf_ on, as `leaf` | count << 24 | place.
    using Ref = u32;
    static constexpr Ref leaf = 1u << 31;
    static constexpr u32 leaf_rows = 3, leaf_places = 1 << 24;
    // A choice by bits of the word, which stand in up to `max_runs` runs; none: all rows that there are.
    static constexpr u32 max_runs = 4, max_bits = 10;
    struct Node {
        struct Piece {
            u8 at = 0, to = 0; // lowest bit of a run in the word, and in the child's number
            u16 ones = 0;
        };
        u32 first = 0, count = 0; // children; rows when there are no runs
        u32 runs = 0;
        Piece run[max_runs];

        explicit Node(u64 bits) {
            for (u32 to = 0; bits; ++runs) {
                u32 at = u32(std::countr_zero(bits)), length = u32(std::countr_one(bits >> at));
                run[runs] = {u8(at), u8(to), u16((1u << length) - 1)};
                to += length;
                bits &= ~(u64(run[runs].ones) << at);
            }
        }
        u32 child(u64 word) const {
            u32 n = 0;
            for (u32 k = 0; k < runs; ++k) n |= u32(word >> run[k].at & run[k].ones) << run[k].to;
            return n;
        }
    };
    static u32 runs_of(u64 bits) { return u32(std::popcount(bits & ~(bits << 1))); }

    struct Index {
        std::vector<const R*> leaf;
        std::vector<Node> nodes;
        std::vector<Ref> child;
        Ref root[9] = {none_, none_, none_, none_, none_, none_, none_, none_, none_};
        std::once_flag made;
    };
    const Index& index() const {
        std::call_once(index_->made, [this] { make(*index_); });
        return *index_;
    }
    // All is sorted by counting: most starts of a program pay for this.
    void make(Index& x) const {
        // By width; a row that is a special case of another has more fixed bits: it is tried first.
        constexpr u32 keys = 65;
        std::array<u32, 9 * keys + 1> place{};
        auto key = [](const R* r) { return r->bits / 8 * keys + 64 - r->fixed; };
        for (const R* r : rows_) ++place[key(r) + 1];
        for (std::size_t k = 1; k < place.size(); ++k) place[k] += place[k - 1];
        std::array<u32, 10> begin;
        for (u32 w = 0; w <= 9; ++w) begin[w] = place[w * keys];
        std::vector<Choice> choices(rows_.size()), other(rows_.size());
        for (u32 n = 0; n < rows_.size(); ++n) choices[place[key(rows_[n])]++] = {n};
        x.leaf.reserve(rows_.size());
        x.child.reserve(16 * rows_.size() + 4096); // room that is not used costs nothing, growing does
        for (u32 w = 1; w <= 8; ++w)
            if (begin[w] != begin[w + 1])
                x.root[w] = build(x, std::span(choices).subspan(begin[w], begin[w + 1] - begin[w]), other.data(), 0);
    }

    // Sorts the rows by child where they stand, which keeps the order within a child. `other`: room for as many.
    Ref build(Index& x, std::span<Choice> rows, Choice* other, u64 used) const {
        if (rows.size() <= leaf_rows && x.leaf.size() < leaf_places) {
            const Ref ref = leaf | u32(rows.size()) << 24 | u32(x.leaf.size());
            for (const Choice& r : rows) x.leaf.push_back(rows_[r.row]);
            return ref;
        }
        u64 common = ~used;
        for (const Choice& r : rows) common &= rows_[r.row]->mask;
        while (std::popcount(common) > int(max_bits) || runs_of(common) > max_runs) common &= common - 1;
        u32 id = u32(x.nodes.size());
        x.nodes.emplace_back(common);
        if (!common) {
            x.nodes[id].first = u32(x.leaf.size()), x.nodes[id].count = u32(rows.size());
            for (const Choice& r : rows) x.leaf.push_back(rows_[r.row]);
            return id;
        }
        const u32 first = u32(x.child.size()), count = 1u << std::popcount(common);
        x.nodes[id].first = first, x.nodes[id].count = count;
        x.child.resize(first + count, 0);
        for (Choice& r : rows) ++x.child[first + (r.child = x.nodes[id].child(rows_[r.row]->match))];
        for (u32 c = 0, at = 0; c < count; ++c) at += std::exchange(x.child[first + c], at); // now each child's place
        std::copy(rows.begin(), rows.end(), other);
        for (std::size_t k = 0; k < rows.size(); ++k) rows[x.child[first + other[k].child]++] = other[k];
        std::fill_n(x.child.begin() + first, count, none_);
        for (std::size_t k = 0, end; k < rows.size(); k = end) {
            const u32 child = rows[k].child;
            for (end = k; end < rows.size() && rows[end].child == child;) ++end;
            const Ref c = build(x, rows.subspan(k, end - k), other, used | common); // x.child may move
            x.child[first + child] = c;
        }
        return id;
    }
    static std::span<const R* const> find(const Index& x, Ref at, u64 word) {
        while (!(at & leaf)) {
            const Node& n = x.nodes[at];
            if (n.runs == 0) return std::span(x.leaf).subspan(n.first, n.count);
            at = x.child[n.first + n.child(word)];
        }
        if (at == none_) return {};
        return {x.leaf.data() + at % leaf_places, (at & ~leaf) / leaf_places};
    }

    // Finds the row of the w bytes that stand at `code`, and takes its extension words.
    bool match(u32 w, std::span<const u8> code, I& out) const {
        const Index& x = index();
        if (x.root[w] == none_) return false;
        out.bits = pack_bits(code.data(), w, Isa::layout);
        for (const R* r : find(x, x.root[w], out.bits)) {
            if ((out.bits & r->mask) != r->match) continue;
            out.row = r;
            out.length = w;
            if (r->valid && !r->valid(out)) continue;
            if constexpr (requires { Isa::extend(out, code); }) {
                if (!Isa::extend(out, code)) {
                    if (out.length > code.size()) break;
                    continue;
                }
            }
            return true;
        }
        out.row = nullptr;
        return false;
    }
    // Could bytes behind these make one of the rows of w bytes?
    bool could_match(u32 w, std::span<const u8> code) const {
        u8 padded[8] = {}, known[8] = {};
        std::copy(code.begin(), code.end(), padded);
        std::fill_n(known, code.size(), u8(0xff));
        u64 bits = pack_bits(padded, w, Isa::layout), seen = pack_bits(known, w, Isa::layout);
        return std::any_of(rows_.begin(), rows_.end(),
                           [&](const R* r) { return r->bits / 8 == w && !((bits ^ r->match) & r->mask & seen); });
    }

    static constexpr u64 address_mask() {
        if constexpr (requires { Isa::address_bits; })
            return Field::ones(Isa::address_bits);
        else
            return ~u64{0};
    }

    static void print_operand(std::string& out, const I& i, std::string_view name) {
        if (std::size_t o = R::operand(name); o != R::npos) return Isa::operands[o].print(out, i);
        const Field& f = *Isa::fields[R::index(name)];
        print_field(out, i[f], f.kind, i.pc);
    }
    static void print_field(std::string& out, i64 v, Kind kind, u64 pc) {
        if (kind == Kind::pcrel)
            out += fmt::format("{:#x}", (pc + u64(v)) & address_mask());
        else
            out += std::to_string(v);
    }
    static bool parse_operand(Cursor& in, I& i, std::string_view name) {
        if (std::size_t o = R::operand(name); o != R::npos) return Isa::operands[o].parse(in, i);
        const Field& f = *Isa::fields[R::index(name)];
        i64 v;
        if (!in.number(v)) return false;
        if (f.kind == Kind::pcrel) {
            v -= i64(i.pc);
            u32 unused = u32(std::countl_zero(address_mask())); // distances wrap with the addresses
            v = i64(u64(v) << unused) >> unused;
        }
        if (!f.fits(v)) return false;
        i.set(f, v);
        return true;
    }

    std::vector<const R*> rows_;
    std::vector<Run> runs_; // by address
    std::unique_ptr<Index> index_ = std::make_unique<Index>();
};

} // namespace mimic::isa
