// Fuzz target: the ELF parser and the script line, on any bytes.
#include "base/check.hpp"
#include "user/loader/elf.hpp"
#include "user/loader/program.hpp"

extern "C" int LLVMFuzzerTestOneInput(const mimic::u8* data, size_t size) {
    using namespace mimic::user;
    MemoryBytes file({data, size});
    constexpr mimic::u64 limit = 1ull << 47;
    for (mimic::u32 page : {4096u, 65536u})
        if (auto image = parse_elf(file, page, limit)) {
            mimic::u64 end = 0;
            for (const ElfSegment& s : image->segments) {
                MIMIC_CHECK(s.address >= end && s.memory_size <= limit - s.address, "segments in order and range");
                MIMIC_CHECK(s.file_size <= size && s.offset <= size - s.file_size, "segments inside the file");
                end = s.address + s.memory_size;
            }
        }
    auto line = parse_script_line({reinterpret_cast<const char*>(data), size});
    if (line) MIMIC_CHECK(line->interpreter.size() <= 255, "a script line is bounded");
    return 0;
}
