// Condition codes that a unit leaves behind: are they written again before anybody reads them? Looks at the code behind
// the unit's exits, by what the IR of its rows does. Internal to the room.
#pragma once
#include "ir/passes/passes.hpp"
#include "isa/translate.hpp"
#include <optional>

namespace mimic::cpu {

class ExitFlags final : public ir::ExitFlags {
public:
    explicit ExitFlags(const isa::Guest& guest);

    // Before a unit's passes run: where its code comes from.
    void begin(const isa::Fetch& fetch);
    bool dead_at(u64 pc, u32 mode) override;

    struct Range { // of code that an answer relied on
        u64 low, high;
    };
    const std::vector<Range>& ranges() const { return ranges_; }

    static constexpr u32 random_samples =
        2; // of a row, beside the instruction at hand; a test says that more say the same
    enum class Use : u8 { unknown, none, kills, branches, reads };
    // Of `count` random instances of a row, when they agree; else `reads`.
    Use use_of_samples(u32 row, u64 pc, u32 mode, u32 count);

private:
    struct Answer {
        u64 pc;
        u32 mode;
        bool dead;
    };
    bool dead(u64 pc, u32 mode, u32& budget);
    bool dead_behind(std::span<const u8> code, u64 pc, u32 mode, u32& budget);
    static Use join(Use a, Use b);
    Use use_of_row(u32 row, std::span<const u8> code, u64 pc, u32 mode);
    Use use_of(std::span<const u8> code, u64 pc, u32 mode);
    ir::Unit& unit_of(std::span<const u8> code, u64 pc, u32 mode);

    const isa::Guest& guest_;
    const isa::Fetch* fetch_ = nullptr;
    std::optional<isa::Translator> translator_;
    ir::PassScratch scratch_;
    std::vector<Use> rows_; // by row
    std::vector<Range> ranges_;
    std::vector<Answer> answers_; // about this unit's exits
};

} // namespace mimic::cpu
