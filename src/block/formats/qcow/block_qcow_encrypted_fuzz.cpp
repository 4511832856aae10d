// Hostile qcow images that are encrypted, whose key we have. `block_exercise --seeds DIR` writes a corpus to start from.
#include "block/fuzz_image.hpp"

extern "C" int LLVMFuzzerTestOneInput(const mimic::u8* data, size_t size) {
    return mimic::block::fuzz::pieces({"qcow", "encrypt.key-secret"}, {data, size});
}
