// The log ([MS-VHDX] 2.3): sectors of the tables that are about to be written, so that a crash in between can be undone by
// writing them again. Ours has one entry at a time, at the log's begin: when the next one is written, what the last one says
// is on the disk.
#include "base/io/pool.hpp"
#include "block/bytes.hpp"
#include "block/formats/vhdx/vhdx.hpp"
#include <algorithm>

namespace mimic::block::vhdx {

namespace {

constexpr u32 entry_magic = 0x65676f6c, data_magic = 0x61746164; // "loge", "data"
constexpr u32 desc_magic = 0x63736564, zero_magic = 0x6f72657a;  // "desc", "zero"
constexpr u64 entry_header = 64, descriptor_bytes = 32;
constexpr u64 first_descriptors = (unit - entry_header) / descriptor_bytes, descriptors = unit / descriptor_bytes;

constexpr u64 most_logs = 4;

u64 descriptor_sectors(u64 count) {
    return 1 + (count > first_descriptors ? div_up(count - first_descriptors, descriptors) : 0);
}
// Where a descriptor stands in an entry: the first sector has the header before them, the rest none.
u64 descriptor_place(u64 i) { return entry_header + i * descriptor_bytes; }

struct Entry {
    u64 place = 0, length = 0, tail = 0, sequence = 0, flushed = 0, last = 0;
    u32 count = 0;
};

class Replay {
public:
    Replay(Node& file, const Header& h) : file_(file), h_(h) {}

    Task<Result<void>> run() {
        CO_CHECK(co_await find());
        if (sequence_.empty()) co_return Result<void>();
        Entry& head = sequence_.back();
        if (file_.size() < head.flushed)
            co_return Error::corrupt("'{}' has {} bytes, expected at least {} as its log says: it was truncated",
                                     file_.filename(), file_.size(), head.flushed);
        for (auto& e : sequence_) CO_CHECK(co_await apply(e));
        if (file_.size() < head.last) CO_CHECK(co_await file_.truncate(round_up(head.last, MiB)));
        co_return co_await file_.flush();
    }

private:
    // Bytes of the log, which is a ring.
    Task<Result<std::vector<u8>>> read(u64 place, u64 length) {
        std::vector<u8> bytes(length);
        for (u64 done = 0; done < length;) {
            u64 at = (place + done) % h_.log_length, n = std::min(length - done, h_.log_length - at);
            IoVec memory(&bytes[done], n);
            CO_CHECK(co_await file_.read(h_.log_offset + at, memory));
            done += n;
        }
        co_return bytes;
    }

    // A valid entry at `place`, or none.
    Task<Result<std::optional<Entry>>> entry_at(u64 place) {
        if (auto known = known_.find(place); known != known_.end()) co_return known->second;
        CO_TRY(auto e, co_await look(place));
        known_[place] = e;
        co_return e;
    }
    Task<Result<std::optional<Entry>>> look(u64 place) {
        CO_TRY(auto b, co_await read(place, entry_header));
        std::optional<Entry> none;
        if (le32(&b[0]) != entry_magic || !std::equal(h_.log.begin(), h_.log.end(), &b[32])) co_return none;
        Entry e{place, le32(&b[8]), le32(&b[12]), le64(&b[16]), le64(&b[48]), le64(&b[56]), le32(&b[24])};
        if (e.length == 0 || e.length % unit || e.length > h_.log_length || e.tail % unit || e.tail >= h_.log_length ||
            e.sequence == 0 || descriptor_sectors(e.count) * unit > e.length)
            co_return none;
        if (e.last > u64(INT64_MAX) / 2 || e.flushed > e.last) co_return none;
        // Entries that lie in each other are an attack on our time.
        looked_ += e.length;
        if (looked_ > most_logs * h_.log_length)
            co_return Error::corrupt("the log of '{}' holds more entries than have room", file_.filename());
        CO_TRY(auto whole, co_await read(place, e.length));
        u32 sum = co_await file_.loop().compute().run(file_.loop(), [&] { return checksum_of(whole); });
        if (le32(&whole[4]) != sum) co_return none;
        co_return e;
    }

    // The entries that follow each other up to the highest sequence number ([MS-VHDX] 2.3.2).
    Task<Result<void>> find() {
        std::vector<Entry> best;
        for (u64 start = 0; start < h_.log_length; start += unit) {
            std::vector<Entry> run;
            u64 place = start, used = 0;
            while (used < h_.log_length) {
                CO_TRY(auto e, co_await entry_at(place));
                if (!e || (!run.empty() && e->sequence != run.back().sequence + 1)) break;
                used += e->length;
                if (used > h_.log_length) break;
                run.push_back(*e);
                place = (place + e->length) % h_.log_length;
            }
            if (run.empty() || (!best.empty() && best.back().sequence >= run.back().sequence)) continue;
            // From the entry on that the last one names as the oldest.
            auto tail = std::ranges::find(run, run.back().tail, &Entry::place);
            if (tail == run.end()) continue;
            best.assign(tail, run.end());
        }
        sequence_ = std::move(best);
        co_return Result<void>();
    }

    Task<Result<void>> apply(const Entry& e) {
        auto bad = [&](u64 i) {
            return Error::corrupt("'{}': descriptor {} of the log entry at {:#x} is not valid", file_.filename(), i,
                                  h_.log_offset + e.place);
        };
        CO_TRY(auto b, co_await read(e.place, e.length));
        u64 data = descriptor_sectors(e.count) * unit;
        for (u64 i = 0; i < e.count; i++) {
            const u8* d = &b[descriptor_place(i)];
            u64 offset = le64(d + 16);
            if (le64(d + 24) != e.sequence || offset % unit || offset > e.last) co_return bad(i);
            if (le32(d) == zero_magic) {
                u64 length = le64(d + 8);
                if (length % unit || length > e.last - offset) co_return bad(i);
                CO_CHECK(co_await file_.write_zeroes(offset, length));
                continue;
            }
            if (le32(d) != desc_magic || data + unit > b.size()) co_return bad(i);
            u8* s = &b[data];
            data += unit;
            if (le32(s) != data_magic || le32(s + 4) != u32(e.sequence >> 32) || le32(s + unit - 4) != u32(e.sequence))
                co_return bad(i);
            // The places of signature and numbers hold bytes that the descriptor keeps.
            std::memcpy(s, d + 8, 8);
            std::memcpy(s + unit - 4, d + 4, 4);
            IoVec memory(s, unit);
            CO_CHECK(co_await file_.write(offset, memory));
        }
        co_return Result<void>();
    }

    Node& file_;
    const Header& h_;
    std::vector<Entry> sequence_;
    std::map<u64, std::optional<Entry>> known_; // by place
    u64 looked_ = 0;                            // bytes
};

} // namespace

Task<Result<void>> replay(Node& file, const Header& h) {
    Replay r(file, h);
    co_return co_await r.run();
}

u64 entry_room(u64 log_length) {
    u64 n = log_length / unit - 1;
    while (descriptor_sectors(n) + n > log_length / unit) n--;
    return n;
}

std::vector<u8> make_entry(const Header& h, u64 sequence, u64 file_size, std::span<const LoggedSector> sectors) {
    u64 data = descriptor_sectors(sectors.size()) * unit;
    std::vector<u8> b(data + sectors.size() * unit);
    put_le32(&b[0], entry_magic);
    put_le32(&b[8], u32(b.size()));
    put_le64(&b[16], sequence);
    put_le32(&b[24], u32(sectors.size()));
    std::ranges::copy(h.log, &b[32]);
    put_le64(&b[48], file_size);
    put_le64(&b[56], file_size);
    for (size_t i = 0; i < sectors.size(); i++) {
        u8 *d = &b[descriptor_place(i)], *s = &b[data + i * unit];
        const u8* from = sectors[i].bytes.data();
        put_le32(d, desc_magic);
        std::memcpy(d + 4, from + unit - 4, 4);
        std::memcpy(d + 8, from, 8);
        put_le64(d + 16, sectors[i].offset);
        put_le64(d + 24, sequence);
        std::memcpy(s, from, unit);
        put_le32(s, data_magic);
        put_le32(s + 4, u32(sequence >> 32));
        put_le32(s + unit - 4, u32(sequence));
    }
    put_le32(&b[4], checksum_of(b));
    return b;
}

} // namespace mimic::block::vhdx
