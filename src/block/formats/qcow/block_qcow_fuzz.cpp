// Hostile qcow images. `block_exercise --seeds DIR` writes a corpus to start from.
#include "block/fuzz_image.hpp"

extern "C" int LLVMFuzzerTestOneInput(const mimic::u8* data, size_t size) {
    return mimic::block::fuzz::pieces({"qcow"}, {data, size});
}
