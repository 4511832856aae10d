// Bytes as code of every guest: they decode or are illegal, text assembles back, translation ends with a sound unit.
// Input: guest number, mode bits, code.
#include "base/check.hpp"
#include "ir/verify.hpp"
#include "isa/guest.hpp"
#include "isa/translate.hpp"
#include <cstring>

namespace mimic::isa {
namespace {

constexpr u64 code_pc = 0x10000;
constexpr std::size_t longest = 128; // of code

void text_returns(const Guest& guest, std::span<const u8> code, u32 mode) {
    while (code.size() >= guest.min_insn_bytes()) {
        u32 length = 0;
        std::string text = guest.disassemble(code, code_pc, mode, length);
        MIMIC_CHECK(length > 0 && length <= code.size(), "a length outside the code");
        if (guest.row_of(code, code_pc, mode) != Guest::no_row) {
            auto bytes = guest.assemble(text, code_pc, mode);
            MIMIC_CHECK(bool(bytes), text.c_str());
            u32 again;
            MIMIC_CHECK(guest.disassemble(*bytes, code_pc, mode, again) == text, text.c_str());
        }
        code = code.subspan(length);
    }
}

void translates(const Guest& guest, std::span<const u8> code, u32 mode) {
    Translator translator(guest);
    Fetch fetch = [&](u64 pc, std::span<u8> out) {
        u64 offset = pc - code_pc;
        if (offset >= code.size()) return u32(0);
        u32 n = u32(std::min<u64>(out.size(), code.size() - offset));
        std::memcpy(out.data(), code.data() + offset, n);
        return n;
    };
    const ir::Unit& unit = translator.translate(code_pc, {.mode = mode}, fetch, {});
    auto sound = ir::verify(unit, guest.state());
    MIMIC_CHECK(bool(sound), sound.error().message().c_str());
}

std::vector<std::unique_ptr<Guest>> every_guest() {
    std::vector<std::unique_ptr<Guest>> all;
    for (const GuestInfo* info : guests()) all.push_back(*info->make(info->default_model));
    return all;
}

} // namespace
} // namespace mimic::isa

extern "C" int LLVMFuzzerTestOneInput(const mimic::u8* data, std::size_t size) {
    using namespace mimic::isa;
    if (size < 2 || guests().empty()) return 0;
    static const auto all = every_guest(); // decoders take longer to build than inputs to run
    const Guest& guest = *all[data[0] % all.size()];
    std::span<const mimic::u8> code(data + 2, std::min(size - 2, longest));
    text_returns(guest, code, data[1]);
    translates(guest, code, data[1]);
    return 0;
}
