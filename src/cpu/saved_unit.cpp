#include "cpu/saved_unit.hpp"
#include <algorithm>
#include <cstring>

namespace mimic::cpu {

namespace {

class Reader {
public:
    explicit Reader(std::span<const u8> bytes) : left_(bytes) {}
    template <class T>
    bool take(u32 count, std::span<const T>& out) {
        if (count > saved::most_items || left_.size() / sizeof(T) < count) return false;
        out = {reinterpret_cast<const T*>(left_.data()), count};
        left_ = left_.subspan(count * sizeof(T));
        return true;
    }
    bool take_bytes(u64 count, std::span<const u8>& out) {
        if (left_.size() < count) return false;
        out = left_.first(count);
        left_ = left_.subspan(count);
        return true;
    }
    bool at_end() const { return left_.empty(); }

private:
    std::span<const u8> left_;
};

bool is_sound(const SavedUnit& u) {
    const saved::Head& h = u.head;
    auto in_code = [&](u64 offset) { return offset < h.code_bytes; };
    if (h.low > h.pc || h.pc >= h.high || h.high - h.low > saved::most_guest_bytes || u.entries.empty()) return false;
    const saved::Entry* first = u.entry_at(h.pc);
    if (!first || !first->own) return false;
    for (const saved::Entry& e : u.entries)
        if (!in_code(e.offset) || u.pc_of(e) >= h.high || (&e != u.entries.data() && (&e)[-1].pc >= e.pc)) return false;
    for (u32 n = 0; n < u.edges.size(); ++n) {
        const saved::Edge& e = u.edges[n];
        if (!in_code(e.stub) || e.word > 2 || e.counted > 1) return false;
        if (e.to != e.nowhere && (!in_code(e.to) || e.word == 2)) return false;
        // Two more words follow.
        if (e.counted && (n + 2 >= u.edges.size() || u.edges[n + 1].word != 1 || u.edges[n + 2].word != 2))
            return false;
    }
    auto rising = [](const saved::Fault& a, const saved::Fault& b) { return a.offset < b.offset; };
    if (!std::is_sorted(u.faults.begin(), u.faults.end(), rising)) return false;
    for (const saved::Fault& f : u.faults)
        if (h.low + f.pc >= h.high) return false;
    for (const saved::Owed& o : u.owed)
        if (o.fault >= h.faults) return false;
    u64 free = 0; // behind the reference before
    for (u32 r : u.references) {
        const u64 at = r & ~saved::is_record;
        if (at < free || !in_code(at + 3)) return false;
        free = at + 4;
    }
    if (h.ranges > saved::most_ranges || h.runs > h.ranges) return false;
    for (const saved::Range& r : u.ranges) {
        const bool is_run = &r < u.ranges.data() + h.runs;
        if (r.low >= r.high || (is_run ? r.low < h.low || r.high > h.high : r.high - r.low > saved::most_range_bytes))
            return false;
    }
    return true;
}

} // namespace

bool parse_saved_unit(std::span<const u8> bytes, SavedUnit& out) {
    if (bytes.size() < sizeof out.head || bytes.size() > saved::most_bytes || u64(bytes.data()) % 8) return false;
    std::memcpy(&out.head, bytes.data(), sizeof out.head);
    const saved::Head& h = out.head;
    Reader r(bytes.subspan(sizeof out.head));
    return r.take(h.ranges, out.ranges) && r.take(h.edges, out.edges) && r.take(h.entries, out.entries) &&
           r.take(h.faults, out.faults) && r.take(h.owed, out.owed) && r.take(h.references, out.references) &&
           r.take_bytes(h.record_bytes, out.records) && r.take_bytes(h.code_bytes, out.code) && r.at_end() &&
           is_sound(out);
}

const saved::Entry* find_entry(std::span<const saved::Entry> entries, u64 low, u64 pc) {
    auto it = std::lower_bound(entries.begin(), entries.end(), pc - low,
                               [](const saved::Entry& e, u64 distance) { return e.pc < distance; });
    return it != entries.end() && it->pc == pc - low ? &*it : nullptr;
}

const saved::Entry* SavedUnit::entry_at(u64 pc) const { return find_entry(entries, head.low, pc); }

std::span<const u8> SavedUnit::kept() const {
    const u8* first = reinterpret_cast<const u8*>(edges.data());
    return {first, reinterpret_cast<const u8*>(owed.data() + owed.size())};
}

SavedUnit SavedUnit::with_kept_at(const u8* place) const {
    SavedUnit u = *this;
    const u8* first = reinterpret_cast<const u8*>(edges.data());
    auto move = [&]<class T>(std::span<const T>& what) {
        what = {reinterpret_cast<const T*>(place + (reinterpret_cast<const u8*>(what.data()) - first)), what.size()};
    };
    move(u.edges), move(u.entries), move(u.faults), move(u.owed);
    return u;
}

std::span<const u8> SavedUnit::record(u32 at) const {
    u32 length = 0;
    if (records.size() < sizeof length || at > records.size() - sizeof length) return {};
    std::memcpy(&length, records.data() + at, sizeof length);
    if (length > records.size() - sizeof length - at) return {};
    return records.subspan(at + sizeof length, length);
}

} // namespace mimic::cpu
