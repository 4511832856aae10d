// What a machine is, as sections of a stream: "machine" (what it must equal), "ram" (pages that are not zero) and "zero" (pages
// that became it, writer.hpp), "moment" (its clock), "cpu" (registers by name), "devices" (devices/base/state.cpp). Nothing here
// knows a guest or a board.
//
//   Saved s = save_state(board, running);             // on the loop's thread, after the machine stopped
//   TRY(write_state(s, board, sink, progress));        // on any thread, while nothing changes
//
//   Loading l(board);                                  // a machine of the same options, stopped
//   TRY(l.read(source));                               // on any thread
//   bool runs = TRY(l.finish());                       // on the loop's thread
#pragma once
#include "base/json.hpp"
#include "machines/board.hpp"
#include "migration/stream.hpp"
#include <atomic>

namespace mimic::migration {

struct Progress {
    std::atomic<u64> bytes{0};                      // that went through
    std::atomic<u64> pages_total{0}, pages_left{0}; // of RAM; of the pass under way
    std::atomic<u64> pages_sent{0}, pages_zero{0};
    std::atomic<u64> passes{0};
};

// All but RAM, taken at one moment.
struct Saved {
    Json moment;
    std::vector<std::vector<u8>> cpus;
    std::vector<u8> devices;
};
// `running`: it ran before it was stopped for this, and shall run where it is loaded.
Saved save_state(machines::Board& board, bool running);
// RAM and it, in one; writer.hpp has the pieces.
Result<void> write_state(const Saved& saved, machines::Board& board, const Sink& sink, Progress& progress);

class Loading {
public:
    // check: checksums must be right.
    explicit Loading(machines::Board& board, bool check = true) : board_(board), check_(check) {}
    // Fills RAM, keeps the rest. After an error the machine must be reset or go.
    Result<void> read(Source source, Progress& progress);
    // Processors and devices. Did the machine run?
    Result<bool> finish();
    // Any thread: read() ends soon, with an error.
    void cancel() { cancelled_ = true; }
    // After read(): whoever sent it waits to hear how loading went (stream.hpp).
    bool answer() const { return answer_; }

private:
    struct Block {
        memory::RamBlock* block = nullptr;
        std::vector<bool> seen; // by page
    };
    Result<void> take(Section& s);
    Result<void> take_machine(const Section& s);
    Result<void> take_moment(const Section& s);
    Result<void> take_ram(const Section& s, bool zero);
    Result<void> load_cpu(std::span<const u8> payload, std::vector<bool>& done);
    void clear_unseen();

    machines::Board& board_;
    bool check_, answer_ = false;
    std::atomic<bool> cancelled_{false};
    Json machine_, moment_;
    std::vector<Block> blocks_;
    std::vector<std::vector<u8>> cpus_;
    std::vector<u8> devices_;
};

// Internal to the room.
inline constexpr u32 section_version = 1;
inline constexpr u32 longest_run = 1 << 20; // bytes of pages that lie together
bool is_zero_page(const u8* p);
Json describe_machine(machines::Board& board);

} // namespace mimic::migration
