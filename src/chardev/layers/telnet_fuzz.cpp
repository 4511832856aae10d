// A telnet peer. The first byte is the size of the pieces that arrive; what goes in by one layer's send() comes out of another.
#include "base/check.hpp"
#include "chardev/layers/layer.hpp"
#include <algorithm>

using namespace mimic;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    if (size == 0) return 0;
    const size_t piece = size_t{data[0]} + 1;
    std::span<const u8> rest(data + 1, size - 1);
    auto layer = chardev::make_telnet();
    chardev::Bytes in, out;
    while (!rest.empty()) {
        size_t n = std::min(piece, rest.size());
        MIMIC_CHECK(bool(layer->receive(rest.first(n), in, out)), "telnet has no errors");
        rest = rest.subspan(n);
    }
    MIMIC_CHECK(in.size() <= size && out.size() <= 5 * size, "telnet makes more of its input");
    chardev::Bytes line, back, answer;
    auto one = chardev::make_telnet(), other = chardev::make_telnet();
    one->send(in, line);
    MIMIC_CHECK(bool(other->receive(line, back, answer)), "telnet has no errors");
    MIMIC_CHECK(back == in, "telnet changes what it carries");
    return 0;
}
