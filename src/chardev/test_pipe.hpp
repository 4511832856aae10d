// A character device for tests: what is written is kept, as much as the test allows.
#pragma once
#include "chardev/chardev.hpp"
#include <algorithm>

namespace mimic::chardev {

struct TestPipe final : Chardev {
    std::string out;
    u32 takes = 1 << 20; // bytes until may_write()
    TestPipe() : Chardev("c0") {}
    std::string filename() const override { return "test"; }
    u32 write(std::span<const u8> bytes) override {
        const u32 n = std::min<u32>(takes, u32(bytes.size()));
        takes -= n;
        out.append(bytes.begin(), bytes.begin() + n);
        return n;
    }
    // How much of it the front end had room for.
    u32 type(std::string_view text) {
        const u32 n = std::min<u32>(front()->room(), u32(text.size()));
        if (n) front()->receive({reinterpret_cast<const u8*>(text.data()), n});
        return n;
    }
    void may_write(u32 n) {
        takes = n;
        front()->writable();
    }
    void say(Event e) { front()->event(e); }
};

} // namespace mimic::chardev
