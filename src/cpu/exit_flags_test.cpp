#include "cpu/exit_flags.hpp"
#include <gtest/gtest.h>

namespace mimic::cpu {
namespace {

// What few instances of a row say of condition codes holds for many.
TEST(ExitFlags, FewInstancesSpeakForARow) {
    std::vector<std::pair<const isa::GuestInfo*, std::string_view>> all;
    for (const isa::GuestInfo* info : isa::guests())
        for (std::string_view model : info->models) all.emplace_back(info, model);
    for (const auto& [info, model] : all) {
        auto guest = info->make(model);
        ASSERT_TRUE(guest);
        bool any = false;
        for (const ir::Slot& s : (*guest)->state().slots) any |= s.type == ir::Type::flags;
        if (!any) continue;
        ExitFlags flags(**guest);
        for (u32 row = 0; row < (*guest)->row_count(); ++row) {
            if ((*guest)->row(row).bytes == 0) continue; // of no fixed length: never asked
            auto few = flags.use_of_samples(row, 0x10000, 0, ExitFlags::random_samples);
            auto many = flags.use_of_samples(row, 0x10000, 0, 40);
            if (few == ExitFlags::Use::branches) continue; // looked at one by one
            EXPECT_TRUE(few == many || few == ExitFlags::Use::reads)
                << info->name << " " << model << ": " << (*guest)->row(row).syntax;
        }
    }
}

} // namespace
} // namespace mimic::cpu
