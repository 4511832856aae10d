// Hostile images of the formats in this folder. The first byte chooses the format; then pieces of the file follow, each with
// its place in sectors and its length in bytes (32 bits each, little-endian): sparse images are small inputs.
// `block_exercise --format-seeds DIR` writes a corpus to start from.
#include "block/bytes.hpp"
#include "block/fuzz_image.hpp"

namespace {
// In this order for good: kept inputs go by it.
constexpr std::string_view formats[] = {"vmdk", "vdi", "vpc", "vhdx", "qcow", "qed", "luks"};
constexpr size_t piece_head = 8;
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const mimic::u8* data, size_t size) {
    using namespace mimic;
    using namespace mimic::block;
    if (size < 1 || size > (1u << 20)) return 0;
    const Driver* driver = find_driver(formats[data[0] % std::size(formats)]);
    auto image = std::make_shared<MemoryImage>();
    for (size_t at = 1; at + piece_head <= size;) {
        u64 place = u64(le32(data + at)) * 512, length = std::min<u64>(le32(data + at + 4), size - at - piece_head);
        if (place > (64u << 20)) break;
        IoVec memory(std::span<const u8>(data + at + piece_head, length));
        if (length) image->write(place, memory);
        at += piece_head + length;
    }
    Context context{.loop = fuzz::loop()};
    fuzz::loop().run(fuzz::use(context, *driver, image));
    return 0;
}
