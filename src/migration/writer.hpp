// StateWriter: a machine on its way out. RAM goes in passes: the first has all of it, each later one what was written since, so
// that all but the last can go while the guest runs.
//
//   StateWriter w(board, sink, progress);
//   TRY(w.begin());
//   do TRY(w.pass()); while (w.left() > enough);
//   ... the machine stops; Saved s = save_state(board, running) on the loop's thread ...
//   TRY(w.pass());
//   TRY(w.end(s));
//
// On any thread but the processors' and the loop's (a pass waits for processors to come out of code). One at a time a machine:
// it has the RAM blocks' flag `migration`.
#pragma once
#include "migration/state.hpp"

namespace mimic::migration {

class StateWriter {
public:
    // What `sink` fails with ends it.
    StateWriter(machines::Board& board, Sink sink, Progress& progress);
    ~StateWriter();
    StateWriter(const StateWriter&) = delete;

    Result<void> begin();
    Result<void> pass();
    // Bytes of pages that were written since the pass that took them.
    u64 left() const;
    // answer: who reads it shall say how loading went (stream.hpp).
    Result<void> end(const Saved& saved, bool answer = false);

private:
    class Runs;
    using Pages = std::vector<bool>;
    Pages take_dirty(memory::RamBlock& b);
    Result<void> send(memory::RamBlock& b, const Pages& pages);

    machines::Board& board_;
    StreamWriter out_;
    Progress& progress_;
    std::vector<memory::RamBlock*> blocks_;
    bool first_ = true;
};

} // namespace mimic::migration
