// Directories with hostile names. The first byte chooses FAT type and floppy; then entries follow, each with a byte (bit 7: a
// directory that is entered; 0x7f: back to the one above; else the length of the name), the name, and, of a file, its size (16 bits).
#include "block/driver.hpp"
#include "block/fuzz_image.hpp"
#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <unistd.h>

namespace {

using namespace mimic;
using namespace mimic::block;
namespace fs = std::filesystem;

constexpr size_t most_entries = 64;

// What the file system refuses is left out.
void make_tree(const fs::path& top, std::span<const u8> input) {
    fs::path here = top;
    size_t entries = 0;
    for (size_t at = 0; at < input.size() && entries < most_entries; entries++) {
        u8 how = input[at++];
        if (how == 0x7f) {
            if (here != top) here = here.parent_path();
            continue;
        }
        size_t length = std::min<size_t>(how & 0x7f, input.size() - at);
        std::string name(reinterpret_cast<const char*>(input.data() + at), length);
        at += length;
        std::ranges::replace(name, '/', '_');
        name = name.c_str(); // up to its first zero
        if (name.empty() || name == "." || name == "..") continue;
        if (how & 0x80) {
            std::error_code failed;
            fs::create_directory(here / name, failed);
            if (!failed) here /= name;
            continue;
        }
        if (at + 2 > input.size()) break;
        u16 size = le16(&input[at]);
        at += 2;
        int fd = ::open((here / name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0) continue;
        if (ftruncate(fd, size) != 0) MIMIC_CHECK(false, "a small file can be made");
        ::close(fd);
    }
}

Task<void> look(Context& context, OpenArguments& a) {
    auto node = co_await find_driver("vvfat")->open(context, a);
    if (!node) co_return;
    co_await fuzz::look(**node);
    auto r = co_await (*node)->close();
    std::move(r).ignore();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    if (size < 1 || size > 65536) return 0;
    constexpr u64 types[] = {12, 16, 32};
    // In memory, if there is such a place: thousands of files come and go.
    static const fs::path top = (fs::exists("/dev/shm") ? fs::path("/dev/shm") : fs::temp_directory_path()) /
                                fmt::format("mimic-vvfat-{}", getpid());
    fs::remove_all(top);
    fs::create_directory(top);
    make_tree(top, {data + 1, size - 1});
    Context context{.loop = fuzz::loop()};
    OpenArguments a;
    a.common.read_only = true;
    a.options = Json::object();
    a.options.set("dir", top.string());
    a.options.set("fat-type", types[data[0] % 3]);
    a.options.set("floppy", (data[0] & 4) != 0);
    fuzz::loop().run(look(context, a));
    fs::remove_all(top);
    return 0;
}
