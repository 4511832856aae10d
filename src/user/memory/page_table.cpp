#include "user/memory/page_table.hpp"
#include <algorithm>
#include <iterator>
#include <string_view>

namespace mimic::user {
namespace {

bool continues(const Mapping& a, const Mapping& b) {
    return a.end == b.start && a.prot == b.prot && a.shared == b.shared && a.file == b.file && !a.shm && !b.shm &&
           a.id == b.id && a.label == b.label && (!a.file || a.offset + a.size() == b.offset);
}

} // namespace

const Mapping* PageTable::find(u64 address) const {
    auto it = map_.upper_bound(address);
    if (it == map_.begin()) return nullptr;
    --it;
    return address < it->second.end ? &it->second : nullptr;
}

const Mapping* PageTable::next(u64 address) const {
    if (auto* here = find(address)) return here;
    auto it = map_.lower_bound(address);
    return it == map_.end() ? nullptr : &it->second;
}

bool PageTable::overlaps(u64 low, u64 high) const {
    auto* m = next(low);
    return m && m->start < high;
}

bool PageTable::covers(u64 low, u64 high, u8 needed) const {
    while (low < high) {
        auto* m = find(low);
        if (!m || (m->prot & needed) != needed) return false;
        low = m->end;
    }
    return true;
}

void PageTable::split(u64 at) {
    auto it = map_.upper_bound(at);
    if (it == map_.begin()) return;
    --it;
    if (at <= it->second.start || at >= it->second.end) return;
    Mapping upper = it->second;
    if (upper.file) upper.offset += at - upper.start;
    upper.start = at;
    it->second.end = at;
    map_.emplace(at, upper);
}

void PageTable::merge_around(Map::iterator it) {
    if (auto after = std::next(it); after != map_.end() && continues(it->second, after->second)) {
        it->second.end = after->second.end;
        map_.erase(after);
    }
    if (it == map_.begin()) return;
    auto before = std::prev(it);
    if (!continues(before->second, it->second)) return;
    before->second.end = it->second.end;
    map_.erase(it);
}

void PageTable::erase(u64 low, u64 high) {
    if (low >= high) return;
    edits_.fetch_add(1, std::memory_order_acq_rel); // protect() and insert() come here, too
    split(low);
    split(high);
    const auto first = map_.lower_bound(low), last = map_.lower_bound(high);
    if (first == last) return;
    for (auto it = first; it != last; ++it) sizes_ -= it->second;
    const auto above = map_.erase(first, last);
    for (Full& f : full_) f.from = std::max(f.from, above == map_.end() ? f.high : above->first);
}

void PageTable::insert(const Mapping& mapping) {
    if (mapping.start >= mapping.end) return;
    erase(mapping.start, mapping.end);
    sizes_ += mapping;
    merge_around(map_.emplace(mapping.start, mapping).first);
}

u64 PageTable::protect(u64 low, u64 high, u8 to) {
    u64 at = low;
    while (at < high) {
        auto* m = find(at);
        if (!m) return at;
        Mapping part = *m;
        if (part.file) part.offset += at - part.start;
        part.start = at;
        part.end = std::min(part.end, high);
        at = part.end;
        if (part.prot == to) continue;
        part.prot = to;
        insert(part);
    }
    return high;
}

std::vector<Mapping> PageTable::in(u64 low, u64 high) const {
    std::vector<Mapping> parts;
    for (auto* m = next(low); m && m->start < high; m = next(m->end)) {
        Mapping part = *m;
        if (part.start < low) {
            if (part.file) part.offset += low - part.start;
            part.start = low;
        }
        part.end = std::min(part.end, high);
        parts.push_back(part);
    }
    return parts;
}

u64 PageTable::find_gap(u64 size, u64 align, u64 low, u64 high) const {
    if (size == 0 || size > high) return 0;
    Full* known = nullptr; // the one that says most of such a gap
    for (Full& f : full_)
        if (size >= f.size && align == f.align && high == f.high && (!known || f.from < known->from)) known = &f;
    u64 top = known ? std::min(known->from, high) : high; // end of the gap under consideration
    auto it = map_.lower_bound(top);
    for (;;) {
        u64 bottom = low; // its start
        if (it != map_.begin()) bottom = std::max(low, std::prev(it)->second.end);
        if (bottom <= top && top - bottom >= size) {
            u64 at = (top - size) & ~(align - 1);
            if (at >= bottom && at != 0) {
                if (!known)
                    known = &full_[next_full_++ % full_.size()];
                else if (size != known->size)
                    return at;
                *known = {size, align, top, high};
                return at;
            }
        }
        if (it == map_.begin()) return 0;
        --it;
        top = std::min(top, it->second.start);
        if (top <= low) return 0;
    }
}

PageTable::Sizes& PageTable::Sizes::operator+=(const Mapping& m) {
    if (m.label && std::string_view(m.label) == stack_label) return *this;
    all += m.size();
    if (is_data(m.prot, m.shared)) data += m.size();
    return *this;
}
PageTable::Sizes& PageTable::Sizes::operator-=(const Mapping& m) {
    Sizes part;
    part += m;
    all -= part.all, data -= part.data;
    return *this;
}

} // namespace mimic::user
