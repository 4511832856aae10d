// Hostile qcow2 images, the input as it is. `block_exercise --seeds DIR` writes a corpus to start from.
#include "block/fuzz_image.hpp"

extern "C" int LLVMFuzzerTestOneInput(const mimic::u8* data, size_t size) {
    using namespace mimic::block;
    if (size > (1u << 20)) return 0;
    Context context{.loop = fuzz::loop()};
    auto image = std::make_shared<MemoryImage>();
    IoVec memory(std::span<const mimic::u8>(data, size));
    image->write(0, memory);
    fuzz::loop().run(fuzz::use(context, qcow2_driver, image));
    return 0;
}
