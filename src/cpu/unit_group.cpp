#include "cpu/unit_group.hpp"
#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <tuple>

namespace mimic::cpu {

namespace {

template <class T>
void append(std::vector<u8>& out, std::span<const T> all) {
    const u8* p = reinterpret_cast<const u8*>(all.data());
    out.insert(out.end(), p, p + all.size_bytes());
}

void add_at(u8* at, u32 more) {
    u32 v;
    std::memcpy(&v, at, 4);
    v += more;
    std::memcpy(at, &v, 4);
}

// The guest's bytes, each looked at once: what units are compared with is what the hash of all is of.
class Bytes {
public:
    explicit Bytes(const GuestBytes& guest) : guest_(guest) {}
    // Everything that is asked for within [low, high) is of these from now on.
    bool begin(u64 low, u64 high) {
        low_ = low;
        all_.resize(high - low);
        return guest_(low, all_);
    }
    bool add(Sha256& hash, u64 low, u64 high) {
        if (low >= low_ && high <= low_ + all_.size()) {
            hash.add(std::span(all_).subspan(low - low_, high - low));
            return true;
        }
        auto [at, is_new] = others_.try_emplace({low, high});
        if (is_new) {
            at->second.emplace(high - low);
            if (!guest_(low, *at->second)) at->second.reset();
        }
        if (!at->second) return false;
        hash.add(*at->second);
        return true;
    }
    // saved::Head::made_from of these now; nothing: not all bytes are there.
    std::optional<Sha256Digest> hash(const saved::Head& h, std::span<const saved::Range> ranges) {
        Sha256 hash;
        bool all = h.runs != 0 || add(hash, h.low, h.high);
        for (const saved::Range& r : ranges) all = all && add(hash, r.low, r.high);
        return all ? std::optional(hash.digest()) : std::nullopt;
    }

private:
    const GuestBytes& guest_;
    u64 low_ = 0;
    std::vector<u8> all_;
    std::map<std::pair<u64, u64>, std::optional<std::vector<u8>>> others_;
};

class Joined {
public:
    explicit Joined(std::vector<SavedUnit> units) : units_(std::move(units)) {
        head_.mode = units_[0].head.mode, head_.flavour = units_[0].head.flavour;
        head_.low = ~u64{0};
        for (const SavedUnit& u : units_)
            head_.low = std::min(head_.low, u.head.low), head_.high = std::max(head_.high, u.head.high);
    }
    const saved::Head& head() const { return head_; }
    bool is_short() const { return head_.high - head_.low <= saved::most_guest_bytes; }
    std::vector<SavedUnit>& units() { return units_; }

    // Puts all together but for the hash.
    bool put_together() {
        find_entries();
        make_room();
        for (const SavedUnit& u : units_)
            if (!add(u)) return false;
        link();
        unite(runs_), drop_doubles(others_);
        head_.runs = u32(runs_.size());
        ranges_ = runs_;
        ranges_.insert(ranges_.end(), others_.begin(), others_.end());
        const u64 most = saved::most_items;
        const bool fits = edges_.size() <= most && entries_.size() <= most && faults_.size() <= most &&
                          owed_.size() <= most && references_.size() <= most && ranges_.size() <= saved::most_ranges;
        return fits && bytes() <= saved::most_bytes;
    }
    const std::vector<saved::Range>& ranges() const { return ranges_; }
    void write(const Sha256Digest& made_from, std::vector<u8>& out) {
        head_.made_from = made_from;
        head_.edges = u32(edges_.size()), head_.ranges = u32(ranges_.size()), head_.entries = u32(entries_.size());
        head_.faults = u32(faults_.size()), head_.owed = u32(owed_.size()), head_.references = u32(references_.size());
        head_.record_bytes = u32(records_.size()), head_.code_bytes = u32(code_.size());
        out.reserve(out.size() + bytes());
        append(out, std::span<const saved::Head>(&head_, 1));
        append<saved::Range>(out, ranges_);
        append<saved::Edge>(out, edges_);
        append<saved::Entry>(out, entries_);
        append<saved::Fault>(out, faults_);
        append<saved::Owed>(out, owed_);
        append<u32>(out, references_);
        append<u8>(out, records_);
        append<u8>(out, code_);
    }

private:
    // Each as it was looked at when its unit was compared.
    static void drop_doubles(std::vector<saved::Range>& all) {
        auto key = [](const saved::Range& r) { return std::pair(r.low, r.high); };
        std::sort(all.begin(), all.end(), [&](auto& x, auto& y) { return key(x) < key(y); });
        all.erase(std::unique(all.begin(), all.end(), [&](auto& x, auto& y) { return key(x) == key(y); }), all.end());
    }
    // In order, and those that are close to each other as one, if it may be as long.
    static void unite(std::vector<saved::Range>& all) {
        constexpr u64 close = 64; // a block of SHA-256
        std::sort(all.begin(), all.end(),
                  [](auto& x, auto& y) { return std::tuple(x.low, x.high) < std::tuple(y.low, y.high); });
        std::vector<saved::Range> united;
        for (const saved::Range& r : all) {
            saved::Range* last = united.empty() ? nullptr : &united.back();
            const bool joins = last && r.low <= last->high + close &&
                               (r.high <= last->high || r.high - last->low <= saved::most_range_bytes);
            joins ? void(last->high = std::max(last->high, r.high)) : united.push_back(r);
        }
        all = std::move(united);
    }
    u64 bytes() const {
        return sizeof head_ + edges_.size() * sizeof(saved::Edge) + ranges_.size() * sizeof(saved::Range) +
               entries_.size() * sizeof(saved::Entry) + faults_.size() * sizeof(saved::Fault) +
               owed_.size() * sizeof(saved::Owed) + references_.size() * 4 + records_.size() + code_.size();
    }
    // Who has the entry at each pc, and where each unit's code will be.
    void find_entries() {
        u32 base = 0;
        for (const SavedUnit& u : units_) {
            bases_.push_back(base);
            for (saved::Entry e : u.entries) {
                e.pc = u16(u.pc_of(e) - head_.low), e.offset += base;
                entries_.push_back(e);
            }
            base = (base + u32(u.code.size()) + 15) & ~15u;
        }
        std::stable_sort(entries_.begin(), entries_.end(), [](const saved::Entry& x, const saved::Entry& y) {
            return std::tuple(x.pc, y.own, y.whole) < std::tuple(y.pc, x.own, x.whole);
        });
        entries_.erase(std::unique(entries_.begin(), entries_.end(), [](auto& x, auto& y) { return x.pc == y.pc; }),
                       entries_.end());
        for (const saved::Entry& e : entries_)
            if (e.own && head_.units++ == 0) head_.pc = head_.low + e.pc;
    }
    // Once: what grows is copied, to pages that are new each time.
    void make_room() {
        u64 edges = 0, faults = 0, references = 0;
        for (const SavedUnit& u : units_)
            edges += u.edges.size(), faults += u.faults.size(), references += u.references.size();
        edges_.reserve(edges), faults_.reserve(faults), references_.reserve(references);
        code_.reserve(bases_.back() + units_.back().code.size());
    }
    bool add(const SavedUnit& u) {
        const u32 base = bases_[added_++], faults = u32(faults_.size()), words = u32(edges_.size());
        for (saved::Edge e : u.edges) {
            e.stub += base;
            e.to = e.nowhere;
            edges_.push_back(e);
        }
        if (u.head.runs == 0) runs_.push_back({u.head.low, u.head.high});
        for (const saved::Range& r : u.ranges)
            (r.low < head_.low || r.high > head_.high ? others_ : runs_).push_back(r);
        for (saved::Fault f : u.faults) {
            f.offset += base, f.pc = u16(u.head.low + f.pc - head_.low);
            faults_.push_back(f);
        }
        for (saved::Owed o : u.owed) o.fault += faults, owed_.push_back(o);
        code_.resize(base, 0xcc); // int3
        code_.insert(code_.end(), u.code.begin(), u.code.end());
        for (u32 r : u.references) {
            u8* place = code_.data() + base + (r & ~saved::is_record);
            references_.push_back(r + base);
            if (r & saved::is_record) {
                u32 at;
                std::memcpy(&at, place, 4);
                const auto now = place_of_record(u.record(at));
                if (!now) return false;
                std::memcpy(place, &*now, 4);
            } else {
                add_at(place, words * 8 - base);
            }
        }
        return true;
    }
    // Among all records, where like ones are one. Nothing: there is none.
    std::optional<u32> place_of_record(std::span<const u8> record) {
        if (record.empty()) return {};
        auto [at, is_new] = record_places_.try_emplace(std::string(record.begin(), record.end()), u32(records_.size()));
        if (is_new) {
            const u32 length = u32(record.size());
            append(records_, std::span<const u32>(&length, 1));
            append(records_, record);
        }
        return at->second;
    }
    // As set_link does it with units that meet later.
    void link() {
        for (saved::Edge& e : edges_) {
            const saved::Entry* to =
                e.mode == head_.mode && e.word == 0 ? find_entry(entries_, head_.low, e.pc) : nullptr;
            if (!to) continue;
            saved::Edge* at = &e;
            if (e.counted && !to->whole) ++at;
            at->to = to->offset;
        }
    }

    std::vector<SavedUnit> units_;
    saved::Head head_;
    std::vector<u32> bases_; // of each unit's code
    u32 added_ = 0;
    std::vector<saved::Edge> edges_;
    std::vector<saved::Range> runs_, others_, ranges_; // the last: both
    std::vector<saved::Entry> entries_;
    std::vector<saved::Fault> faults_;
    std::vector<saved::Owed> owed_;
    std::vector<u32> references_;
    std::vector<u8> records_, code_;
    std::map<std::string, u32> record_places_;
};

} // namespace

bool join(std::span<const SavedUnit> units, const GuestBytes& guest, std::vector<u8>& out) {
    if (units.empty()) return false;
    Joined all({units.begin(), units.end()});
    Bytes bytes(guest);
    if (!all.is_short() || !bytes.begin(all.head().low, all.head().high)) return false;
    std::erase_if(all.units(), [&](const SavedUnit& u) { return bytes.hash(u.head, u.ranges) != u.head.made_from; });
    if (all.units().empty()) return false;
    Joined sound(std::move(all.units()));
    if (!sound.put_together()) return false;
    const auto hash = bytes.hash(sound.head(), sound.ranges());
    if (hash) sound.write(*hash, out);
    return bool(hash);
}

} // namespace mimic::cpu
