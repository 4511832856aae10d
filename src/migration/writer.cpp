#include "migration/writer.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace mimic::migration {

namespace {

constexpr u64 page = memory::RamBlock::page_size;

// A file's holes are not read: that would fill them. Where data goes on from `at`.
u64 skip_hole(const memory::RamBlock& b, u64 at) {
    off_t data = lseek(b.fd(), off_t(at), SEEK_DATA);
    if (data < 0) return errno == ENXIO ? b.size() : at;
    return u64(data) / page * page;
}

} // namespace

// Runs of pages of one kind: "ram" has the block's name, then u64 offset, u32 bytes, the bytes, again and again; "zero" the
// same without bytes.
class StateWriter::Runs {
public:
    Runs(StreamWriter& out, Progress& progress, const memory::RamBlock& block, bool zero)
        : out_(out)
        , progress_(progress)
        , block_(block)
        , zero_(zero) {}

    Result<void> add(u64 at) {
        if (bytes_ && at_ + bytes_ != at) TRY(end_run());
        if (!bytes_) at_ = at;
        bytes_ += u32(page);
        return bytes_ >= most ? end_run() : Result<void>();
    }
    Result<void> end() {
        TRY(end_run());
        return flush();
    }

private:
    static constexpr u32 most = longest_run;
    Result<void> end_run() {
        if (!bytes_) return {};
        if (payload_.out.empty()) payload_.text(block_.name());
        payload_.number(at_);
        payload_.number(bytes_);
        if (!zero_) payload_.raw({block_.host() + at_, bytes_});
        bytes_ = 0;
        return payload_.out.size() >= most ? flush() : Result<void>();
    }
    Result<void> flush() {
        if (payload_.out.empty()) return {};
        progress_.bytes.fetch_add(payload_.out.size(), std::memory_order_relaxed);
        TRY(out_.section(zero_ ? "zero" : "ram", section_version, payload_.out));
        payload_.out.clear();
        return {};
    }

    StreamWriter& out_;
    Progress& progress_;
    const memory::RamBlock& block_;
    bool zero_;
    Payload payload_;
    u64 at_ = 0;
    u32 bytes_ = 0;
};

StateWriter::StateWriter(machines::Board& board, Sink sink, Progress& progress)
    : board_(board)
    , out_(std::move(sink))
    , progress_(progress)
    , blocks_(board.ram_blocks()) {}

// Pages that no pass took are nobody's any more: with the flag set, their writes are free again.
StateWriter::~StateWriter() {
    for (memory::RamBlock* b : blocks_)
        for (u64 at = 0; at < b->size(); at += page)
            b->flags(at).fetch_or(memory::RamBlock::migration, std::memory_order_relaxed);
}

Result<void> StateWriter::begin() {
    TRY(out_.begin());
    u64 pages = 0;
    for (memory::RamBlock* b : blocks_) pages += b->size() / page;
    progress_.pages_total = progress_.pages_left = pages;
    std::string machine = describe_machine(board_).dump();
    return out_.section("machine", section_version, {reinterpret_cast<const u8*>(machine.data()), machine.size()});
}

StateWriter::Pages StateWriter::take_dirty(memory::RamBlock& b) {
    Pages pages(b.size() / page);
    for (u64 p = 0; p < pages.size(); p++)
        pages[p] = b.test_and_clear_dirty(p * page, memory::RamBlock::migration) || first_;
    return pages;
}

Result<void> StateWriter::pass() {
    std::vector<Pages> all;
    board_.collect_writes();
    for (memory::RamBlock* b : blocks_) all.push_back(take_dirty(*b));
    board_.settle_writes();
    u64 count = 0;
    for (const Pages& pages : all) count += u64(std::count(pages.begin(), pages.end(), true));
    progress_.pages_left = count;
    progress_.passes++;
    for (size_t i = 0; i < blocks_.size(); i++) TRY(send(*blocks_[i], all[i]));
    progress_.pages_left = 0;
    first_ = false;
    return {};
}

// What was never sent is zero where it arrives, so only later passes tell of pages that became it.
Result<void> StateWriter::send(memory::RamBlock& b, const Pages& pages) {
    Runs data(out_, progress_, b, false), zeros(out_, progress_, b, true);
    u64 hole_end = 0;
    for (u64 p = 0; p < pages.size(); p++) {
        if (!pages[p]) continue;
        progress_.pages_left.fetch_sub(1, std::memory_order_relaxed);
        u64 at = p * page;
        if (first_ && b.fd() >= 0 && at >= hole_end) hole_end = skip_hole(b, at);
        bool hole = at < hole_end, zero = hole || is_zero_page(b.host() + at);
        (zero ? progress_.pages_zero : progress_.pages_sent).fetch_add(1, std::memory_order_relaxed);
        if (!zero)
            TRY(data.add(at));
        else if (!first_)
            TRY(zeros.add(at));
    }
    TRY(zeros.end());
    return data.end();
}

u64 StateWriter::left() const {
    u64 pages = 0;
    board_.collect_writes();
    for (const memory::RamBlock* b : blocks_)
        for (u64 at = 0; at < b->size(); at += page)
            pages += (b->flags(at).load(std::memory_order_relaxed) & memory::RamBlock::migration) != 0;
    return pages * page;
}

Result<void> StateWriter::end(const Saved& saved, bool answer) {
    std::string moment = saved.moment.dump();
    TRY(out_.section("moment", section_version, {reinterpret_cast<const u8*>(moment.data()), moment.size()}));
    for (const auto& cpu : saved.cpus) TRY(out_.section("cpu", section_version, cpu));
    TRY(out_.section("devices", section_version, saved.devices));
    return out_.end(answer);
}

Result<void> write_state(const Saved& saved, machines::Board& board, const Sink& sink, Progress& progress) {
    StateWriter w(board, sink, progress);
    TRY(w.begin());
    TRY(w.pass());
    return w.end(saved);
}

} // namespace mimic::migration
