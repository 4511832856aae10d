// A WebSocket's client: its request, or with an odd first byte its frames. The first byte is the size of the pieces, too.
#include "base/check.hpp"
#include "chardev/layers/layer.hpp"
#include <algorithm>
#include <string_view>

using namespace mimic;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    if (size == 0) return 0;
    constexpr std::string_view request =
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    const size_t piece = size_t{data[0]} / 2 + 1;
    std::span<const u8> rest(data + 1, size - 1);
    auto layer = chardev::make_websocket();
    chardev::Bytes in, out;
    if (data[0] & 1) {
        bool good = bool(layer->receive({reinterpret_cast<const u8*>(request.data()), request.size()}, in, out));
        MIMIC_CHECK(good && layer->ready(), "a good request is refused");
        out.clear();
    }
    while (!rest.empty()) {
        size_t n = std::min(piece, rest.size());
        if (!layer->receive(rest.first(n), in, out)) break;
        rest = rest.subspan(n);
    }
    MIMIC_CHECK(in.size() <= size && out.size() <= size + 512, "a WebSocket makes more of its input");
    return 0;
}
