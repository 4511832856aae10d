#include "machines/boot/elf.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
    auto image = mimic::machines::parse_elf({data, size});
    if (image)
        for (const auto& s : image->segments)
            if (s.offset + s.file_bytes > size) __builtin_trap();
    return 0;
}
