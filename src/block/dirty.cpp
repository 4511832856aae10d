#include "block/dirty.hpp"
#include <algorithm>
#include <bit>
#include <cstring>

namespace mimic::block {

static_assert(std::endian::native == std::endian::little, "store() and load() copy words as qcow2's bytes");

Result<std::shared_ptr<DirtyBitmap>> DirtyBitmap::create(std::string name, u64 size, u64 granularity) {
    if (!std::has_single_bit(granularity) || granularity < min_granularity || granularity > max_granularity)
        return Error::invalid_argument("Granularity {} is invalid, expected a power of 2 from {} bytes to 2 GiB",
                                       granularity, min_granularity);
    u32 shift = u32(std::countr_zero(granularity));
    if ((size >> shift) >= max_bits)
        return Error::no_space("bitmap '{}' of {} bytes would need more than {} bits, expected a larger granularity",
                               name, size, max_bits);
    return std::shared_ptr<DirtyBitmap>(new DirtyBitmap(std::move(name), size, shift));
}

DirtyBitmap::DirtyBitmap(std::string name, u64 size, u32 shift) : name_(std::move(name)), size_(size), shift_(shift) {
    chunks_.resize((bits() + chunk_bits - 1) / chunk_bits);
}

u64 DirtyBitmap::chunk_length(u64 index) const { return std::min(chunk_bits, bits() - index * chunk_bits); }

void DirtyBitmap::materialise(Chunk& c) {
    if (c.words) return;
    c.words = std::make_unique<u64[]>(chunk_words);
    if (!c.full) return;
    u64 n = c.count;
    for (u64 w = 0; w < chunk_words && n; w++) {
        u64 here = std::min<u64>(n, 64);
        c.words[w] = here == 64 ? ~u64{0} : (u64(1) << here) - 1;
        n -= here;
    }
    c.full = false;
}

void DirtyBitmap::change(u64 offset, u64 length, bool on) {
    if (offset >= size_ || length == 0) return;
    u64 end = std::min(length, size_ - offset) + offset;
    change_bits(offset >> shift_, ((end - 1) >> shift_) + 1, on);
    changed = true;
}

void DirtyBitmap::change_bits(u64 first, u64 end, bool on) {
    while (first < end) {
        u64 index = first / chunk_bits, base = index * chunk_bits, stop = std::min(end, base + chunk_bits);
        Chunk& c = chunks_[index];
        u64 whole = chunk_length(index), before = c.count;
        if (stop - first == whole) {
            c.words.reset();
            c.full = on;
            c.count = on ? whole : 0;
        } else if (c.words || c.full != on) {
            materialise(c);
            for (u64 bit = first - base; bit < stop - base;) {
                u64 n = std::min<u64>(64 - bit % 64, stop - base - bit);
                u64 mask = (n == 64 ? ~u64{0} : (u64(1) << n) - 1) << (bit % 64);
                u64& word = c.words[bit / 64];
                u64 now = on ? word | mask : word & ~mask;
                c.count += u64(std::popcount(now)) - u64(std::popcount(word));
                word = now;
                bit += n;
            }
            if (c.count == 0) c.words.reset();
        }
        count_ += c.count - before;
        first = stop;
    }
}

void DirtyBitmap::clear_all() {
    for (Chunk& c : chunks_) c = Chunk();
    count_ = 0;
    changed = true;
}

void DirtyBitmap::merge(const DirtyBitmap& other) {
    u64 at = 0, offset = 0, length = 0;
    while (other.next(at, UINT64_MAX, offset, length)) {
        set(offset, length);
        at = offset + length;
    }
    changed = true;
}

void DirtyBitmap::resize(u64 size) {
    u64 old = bits(), now = (size >> shift_) + ((size & (granularity() - 1)) != 0);
    if (now < old) change_bits(now, old, false);
    // A last chunk that is full and grows is not full any more.
    if (now > old && !chunks_.empty()) materialise(chunks_.back());
    size_ = size;
    chunks_.resize((now + chunk_bits - 1) / chunk_bits);
    changed = true;
}

u64 DirtyBitmap::find(u64 from, bool on) const {
    u64 end = bits();
    while (from < end) {
        u64 index = from / chunk_bits, base = index * chunk_bits, length = chunk_length(index);
        const Chunk& c = chunks_[index];
        if (!c.words) {
            if (c.full == on) return from;
            from = base + length;
            continue;
        }
        for (u64 bit = from - base; bit < length; bit = (bit / 64 + 1) * 64) {
            u64 word = on ? c.words[bit / 64] : ~c.words[bit / 64];
            word &= ~u64{0} << (bit % 64);
            if (!word) continue;
            u64 found = bit / 64 * 64 + u64(std::countr_zero(word));
            if (found < length) return base + found;
        }
        from = base + length;
    }
    return end;
}

bool DirtyBitmap::get(u64 offset) const {
    u64 bit = offset >> shift_;
    return offset < size_ && find(bit, true) == bit;
}

bool DirtyBitmap::state(u64 offset, u64& length) const {
    u64 bit = offset >> shift_;
    bool on = get(offset);
    u64 end = find(bit, !on);
    if (end < bits()) length = std::min(length, (end << shift_) - offset);
    return on;
}

bool DirtyBitmap::next(u64 from, u64 most, u64& offset, u64& length) const {
    if (from >= size_) return false;
    u64 first = find(from >> shift_, true);
    if (first == bits()) return false;
    u64 end = std::min(find(first, false) << shift_, size_);
    offset = std::max(from, first << shift_);
    length = std::min(most, end - offset);
    return true;
}

void DirtyBitmap::store(u64 first_bit, std::span<u8> out) const {
    std::fill(out.begin(), out.end(), u8(0));
    for (u64 done = 0; done < out.size();) {
        u64 bit = first_bit + done * 8, index = bit / chunk_bits;
        u64 n = std::min<u64>(out.size() - done, (chunk_bits - bit % chunk_bits) / 8);
        if (index < chunks_.size()) {
            const Chunk& c = chunks_[index];
            if (c.words)
                std::memcpy(&out[done], reinterpret_cast<const u8*>(c.words.get()) + bit % chunk_bits / 8, n);
            else if (c.full)
                for (u64 i = 0; i < n * 8; i++)
                    if (bit % chunk_bits + i < c.count) out[done + i / 8] |= u8(1u << (i % 8));
        }
        done += n;
    }
}

void DirtyBitmap::load(u64 first_bit, std::span<const u8> in) {
    // Runs of equal bytes are the usual case.
    for (size_t i = 0; i < in.size();) {
        size_t end = i + 1;
        if (in[i] == 0 || in[i] == 0xff)
            while (end < in.size() && in[end] == in[i]) end++;
        u64 bit = first_bit + i * 8, stop = std::min(first_bit + end * 8, bits());
        if (bit >= bits()) break;
        if (in[i] == 0 || in[i] == 0xff)
            change_bits(bit, stop, in[i] != 0);
        else
            for (u64 b = bit; b < stop; b++) change_bits(b, b + 1, in[i] >> (b - bit) & 1);
        i = end;
    }
}

} // namespace mimic::block
