// A stream of frames from somebody else's machine. The first byte of the input is the size of the pieces that arrive.
#include "base/check.hpp"
#include "net/framing.hpp"
#include <algorithm>

using namespace mimic;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    if (size == 0) return 0;
    const size_t piece = size_t{data[0]} + 1;
    std::span<const u8> rest(data + 1, size - 1), all = rest, frame;
    net::Deframer in;
    std::vector<u8> again; // the frames that came, framed
    net::Deframer::Next next = net::Deframer::Next::more;
    while (!rest.empty() && next != net::Deframer::Next::bad) {
        size_t n = std::min(piece, rest.size());
        std::memcpy(in.room().data(), rest.data(), n);
        in.filled(n);
        rest = rest.subspan(n);
        while ((next = in.next(frame)) == net::Deframer::Next::frame) {
            MIMIC_CHECK(frame.size() <= net::max_frame, "a frame is too long");
            net::append_framed(again, frame);
        }
    }
    MIMIC_CHECK(again.size() <= all.size() && std::ranges::equal(again, all.first(again.size())),
                "frames are not what came");
    return 0;
}
