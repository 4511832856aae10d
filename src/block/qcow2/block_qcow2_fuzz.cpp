// Hostile qcow2 images, the input as it is. `block_exercise --seeds DIR` writes a corpus to start from.
#include "block/fuzz_image.hpp"

extern "C" int LLVMFuzzerTestOneInput(const mimic::u8* data, size_t size) {
    return mimic::block::fuzz::whole({"qcow2"}, {data, size});
}
