#include "machines/boot/arm64.hpp"
#include "machines/boot/elf.hpp"
#include "machines/boot/fdt.hpp"
#include "machines/boot/loader.hpp"
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <libfdt.h>
#include <unistd.h>
#include <zlib.h>

namespace mimic::machines {
namespace {

struct Rig {
    std::unique_ptr<memory::RamBlock> block =
        *memory::RamBlock::create("ram", 0x10000, {.backing = memory::RamBlock::Backing::anonymous});
    memory::Region root{"system", ~u64{0}}, ram{"ram", *block, 0, 0x10000, false};
    memory::AddressSpace space{"memory", root};
    Loader loader{space};
    Rig() { root.add(ram, 0x80000000); }
    std::string file(std::string_view name, std::string_view content) {
        std::string path = fmt::format("/tmp/mimic-machines-{}-{}", getpid(), name);
        std::ofstream(path, std::ios::binary) << content;
        return path;
    }
};

// A 64-bit little-endian ELF of one segment.
std::string elf(u64 physical, u64 entry, std::string_view content, u64 memory_bytes, u16 machine = 243) {
    std::string s(64 + 56, '\0');
    auto put = [&](size_t at, u64 v, int n) { std::memcpy(&s[at], &v, size_t(n)); };
    std::memcpy(s.data(),
                "\x7f"
                "ELF\x02\x01\x01",
                7);
    put(18, machine, 2), put(24, entry, 8), put(32, 64, 8), put(54, 56, 2), put(56, 1, 2);
    put(64, 1, 4), put(72, s.size(), 8), put(80, 0xffffffff80000000 + (physical & 0xffff), 8), put(88, physical, 8);
    put(96, content.size(), 8), put(104, memory_bytes, 8);
    return s + std::string(content);
}

TEST(Loader, RawFilesComeBackAfterAReset) {
    Rig r;
    auto loaded = r.loader.add_raw("-kernel", r.file("raw", "hello"), 0x80001000);
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(loaded->end, 0x80001005u);
    EXPECT_EQ(std::memcmp(r.block->host() + 0x1000, "hello", 5), 0);
    r.block->host()[0x1000] = 'x';
    ASSERT_TRUE(r.loader.reload());
    EXPECT_EQ(r.block->host()[0x1000], 'h');
}

TEST(Loader, ElfFilesGoToPhysicalAddresses) {
    Rig r;
    r.block->host()[0x2007] = 9;
    std::string path = r.file("elf", elf(0x80002000, 0xffffffff80002004, "code", 8));
    auto loaded = r.loader.add_image("-kernel", path, 0, 243);
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(loaded->entry, 0x80002004u);
    EXPECT_EQ(std::memcmp(r.block->host() + 0x2000, "code\0\0\0\0", 8), 0);
    auto other = r.loader.add_image("-kernel", path, 0, 183);
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().message(), fmt::format("-kernel {}: ELF machine 243, expected 183", path));
}

TEST(Loader, WhatDoesNotFitIsAnError) {
    Rig r;
    auto loaded = r.loader.add_raw("-initrd", r.file("big", std::string(0x3000, 'x')), 0x8000e000);
    ASSERT_FALSE(loaded);
    EXPECT_NE(loaded.error().message().find("12288 bytes at 0x8000e000 do not fit into the guest's memory, which has "
                                            "none at 0x80010000"),
              std::string::npos);
    EXPECT_EQ(r.loader.add_raw("-initrd", "/nonexistent", 0).error().message(),
              "-initrd: cannot open /nonexistent: No such file or directory");
    EXPECT_FALSE(r.loader.add_raw("-initrd", r.file("none", ""), 0x80000000));
    EXPECT_FALSE(r.loader.add_raw("-initrd", "/tmp", 0x80000000));
}

TEST(Elf, TornFilesAreRefused) {
    std::string good = elf(0x80002000, 0x80002000, "code", 8);
    auto bytes = [](const std::string& s) { return std::span(reinterpret_cast<const u8*>(s.data()), s.size()); };
    EXPECT_TRUE(parse_elf(bytes(good)));
    for (size_t n = 0; n < good.size(); n++) EXPECT_FALSE(parse_elf(bytes(good.substr(0, n)))) << n;
}

TEST(Firmware, IsFoundInFoldersAndMissedByPackage) {
    Rig r;
    r.file("fw.bin", "x");
    std::string folders[] = {"/tmp"};
    std::string name = fmt::format("mimic-machines-{}-fw.bin", getpid());
    std::string_view names[] = {"absent.bin", name};
    auto found = find_firmware(folders, names, "opensbi");
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, "/tmp/" + name);
    auto missing = find_firmware({}, std::span(names, 1), "opensbi");
    EXPECT_EQ(missing.error().message(), "firmware 'absent.bin' is not there, expected from the package 'opensbi' or "
                                         "in a folder given by -L");
}

// An arm64 Image of 128 bytes.
std::string arm64_image(u64 text_offset, u64 image_size, u64 flags = 0) {
    std::string s(128, '\x1f');
    auto put = [&](size_t at, u64 v, int n) { std::memcpy(&s[at], &v, size_t(n)); };
    put(8, text_offset, 8), put(16, image_size, 8), put(24, flags, 8), put(56, 0x644d5241, 4);
    return s;
}
std::string gzip(const std::string& content) {
    std::string out(content.size() + 100, '\0');
    z_stream z{};
    deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
    z.avail_in = u32(content.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = u32(out.size());
    deflate(&z, Z_FINISH);
    out.resize(z.total_out);
    deflateEnd(&z);
    return out;
}

TEST(Arm64Kernel, LiesAtItsOffsetPackedOrNot) {
    for (bool packed : {false, true}) {
        Rig r;
        std::string image = arm64_image(0x1000, 0x2000);
        std::string path = r.file("image", packed ? gzip(image) : image);
        auto loaded = r.loader.add_arm64_kernel("-kernel", path, 0x80000000, 0x10000);
        ASSERT_TRUE(loaded) << loaded.error().message();
        EXPECT_EQ(loaded->entry, 0x80001000u);
        EXPECT_EQ(loaded->end, 0x80003000u);
        EXPECT_EQ(std::memcmp(r.block->host() + 0x1000, image.data(), image.size()), 0);
        std::memset(r.block->host(), 0, 0x2000);
        ASSERT_TRUE(r.loader.reload());
        EXPECT_EQ(std::memcmp(r.block->host() + 0x1000, image.data(), image.size()), 0);
    }
}

TEST(Arm64Kernel, BadOnesAreRefusedInOneLine) {
    Rig r;
    auto message = [&](const std::string& content, u64 limit = 0x10000) {
        auto loaded = r.loader.add_arm64_kernel("-kernel", r.file("bad", content), 0x80000000, limit);
        return loaded ? std::string() : loaded.error().message();
    };
    EXPECT_NE(message("no kernel at all").find("expected an arm64 Image"), std::string::npos);
    EXPECT_NE(message(arm64_image(0x1000, 0x2000, 1)).find("big-endian"), std::string::npos);
    EXPECT_NE(message(arm64_image(0x200000, 0x2000)).find("text_offset 0x200000"), std::string::npos);
    EXPECT_NE(message(arm64_image(0, 0x2000)).find("do not fit into the guest's memory"), std::string::npos);
    std::string packed = gzip(arm64_image(0x1000, 0x2000));
    EXPECT_NE(message(packed, 100).find("more than 100 bytes"), std::string::npos);
    EXPECT_NE(message(packed.substr(0, packed.size() - 12)).find("damaged or cut off"), std::string::npos);
    packed[14] ^= 0x55;
    EXPECT_NE(message(packed), "");
}

// An Image that UEFI could start, too, says how long it is.
TEST(Arm64Kernel, OnesThatAreCutOffAreRefused) {
    Rig r;
    std::string image = arm64_image(0, 0x2000);
    image.resize(0x800);
    auto put = [&](size_t at, u64 v, u32 bytes) { std::memcpy(&image[at], &v, bytes); };
    put(0, 0x5a4d, 2), put(0x3c, 0x40, 4);
    put(0x40, 0x4550, 4), put(0x46, 1, 2), put(0x54, 0x10, 2); // one section, behind 16 bytes of optional header
    put(0x68 + 16, 0x700, 4), put(0x68 + 20, 0x100, 4);
    auto load = [&](size_t bytes) {
        return r.loader.add_arm64_kernel("-kernel", r.file("pe", image.substr(0, bytes)), 0x80000000, 0x10000);
    };
    EXPECT_NE(load(0x7ff).error().message().find("cut off at 2047 bytes, expected the 2048 of its sections"),
              std::string::npos);
    EXPECT_NE(load(0x60).error().message().find("cut off at 96 bytes"), std::string::npos);
    auto whole = load(0x800);
    EXPECT_TRUE(whole || whole.error().message().find("cut off") == std::string::npos);
    auto kernel = r.loader.add_kernel("-kernel", r.file("pe", image.substr(0, 0x400)), 0x80000000, 243, 0x10000);
    EXPECT_NE(kernel.error().message().find("cut off at 1024 bytes"), std::string::npos);
}

// U-Boot's legacy header in front.
std::string uimage(const std::string& content, u8 architecture, u8 packed = 0, u8 type = 2, u8 os = 5) {
    std::string s(64, '\0');
    auto put = [&](size_t at, u64 v) {
        for (u32 i = 0; i < 4; i++) s[at + i] = char(v >> (24 - 8 * i));
    };
    put(0, 0x27051956), put(12, content.size()), put(16, 0x80002000), put(20, 0x80002004);
    put(24, crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
    s[28] = char(os), s[29] = char(architecture), s[30] = char(type), s[31] = char(packed);
    std::memcpy(&s[32], "a kernel", 8);
    put(4, crc32_z(0, reinterpret_cast<const Bytef*>(s.data()), 64));
    return s + content;
}

TEST(UImage, LiesWhereItSays) {
    for (bool packed : {false, true}) {
        Rig r;
        const std::string path = r.file("uimage", uimage(packed ? gzip("the kernel") : "the kernel", 26, packed));
        auto loaded = r.loader.add_kernel("-kernel", path, 0x80000000, 243, 0x10000);
        ASSERT_TRUE(loaded) << loaded.error().message();
        EXPECT_EQ(loaded->start, 0x80002000u);
        EXPECT_EQ(loaded->end, 0x8000200au);
        EXPECT_EQ(loaded->entry, 0x80002004u);
        EXPECT_EQ(std::memcmp(r.block->host() + 0x2000, "the kernel", 10), 0);
    }
    Rig r;
    auto anywhere =
        r.loader.add_kernel("-kernel", r.file("uimage", uimage("the kernel", 26, 0, 14)), 0x80000000, 243, 0x10000);
    ASSERT_TRUE(anywhere) << anywhere.error().message();
    EXPECT_EQ(anywhere->start, 0x80000000u);
    // What an Image inside needs is its own.
    auto arm =
        r.loader.add_arm64_kernel("-kernel", r.file("uimage", uimage(arm64_image(0, 0x1000), 22)), 0x80000000, 0x10000);
    ASSERT_TRUE(arm) << arm.error().message();
    EXPECT_EQ(arm->end, 0x80003000u);
    EXPECT_TRUE(arm->by_protocol);
}

TEST(UImage, BadOnesAreRefusedInOneLine) {
    Rig r;
    auto message = [&](const std::string& content, u64 limit = 0x10000) {
        auto loaded = r.loader.add_kernel("-kernel", r.file("bad", content), 0x80000000, 243, limit);
        return loaded ? std::string() : loaded.error().message();
    };
    const std::string good = uimage("the kernel", 26);
    for (const auto& [content, expected] : {
             std::pair{uimage("the kernel", 22), "uImage of architecture 22, expected 26"},
             {uimage("the kernel", 26, 0, 3), "uImage of type 3, expected a kernel (2 or 14)"},
             {uimage("the kernel", 26, 2), "uImage with compression 2, expected none (0) or gzip (1)"},
             {uimage("the kernel", 26, 1), "uImage: the gzip data are damaged or cut off"},
             {uimage("", 26), "the uImage is empty"},
             {good.substr(0, good.size() - 1), "the uImage has 9 bytes behind its header, expected 10"},
             {good.substr(0, good.size() - 1) + "L", "the uImage's data are damaged"},
             {good.substr(0, 40) + "b" + good.substr(41), "the uImage header is damaged"},
         })
        EXPECT_NE(message(content).find(expected), std::string::npos) << message(content);
    EXPECT_NE(message(uimage(gzip(std::string(500, 'x')), 26, 1), 100).find("more than 100 bytes"), std::string::npos);
}

// Room grows with the tree, and ends somewhere.
TEST(Fdt, TreesOfAnySize) {
    for (u32 nodes : {1u, 300u, 3000u}) {
        FdtWriter w;
        for (u32 i = 0; i < nodes; i++)
            w.node(fmt::format("node{}", i), [&] {
                w.cells(fmt::format("property-{}", i).c_str(), {i, ~i});
                w.text("name-of-it", std::string(100, char('a' + i % 26)));
            });
        auto blob = w.finish();
        ASSERT_TRUE(blob) << blob.error().message();
        ASSERT_EQ(fdt_check_full(blob->data(), blob->size()), 0);
        for (u32 i = 0; i < nodes; i++) {
            int node = fdt_path_offset(blob->data(), fmt::format("/node{}", i).c_str()), bytes = 0;
            auto* cells = static_cast<const fdt32_t*>(
                fdt_getprop(blob->data(), node, fmt::format("property-{}", i).c_str(), &bytes));
            ASSERT_EQ(bytes, 8);
            ASSERT_EQ(fdt32_to_cpu(cells[0]), i);
            ASSERT_EQ(fdt32_to_cpu(cells[1]), ~i);
            auto* text = static_cast<const char*>(fdt_getprop(blob->data(), node, "name-of-it", &bytes));
            ASSERT_EQ(std::string(text), std::string(100, char('a' + i % 26)));
        }
    }
    FdtWriter w;
    const std::vector<u8> half(3 << 20);
    w.bytes("one", half);
    w.bytes("two", half);
    auto blob = w.finish();
    ASSERT_FALSE(blob);
    EXPECT_EQ(blob.error().message(), "the device tree: FDT_ERR_NOSPACE");
}

TEST(Fdt, EditsOfUsersTrees) {
    FdtWriter w;
    w.text("model", "x");
    auto blob = w.finish();
    ASSERT_TRUE(blob);
    auto edited = edit_fdt(*blob, {"console=ttyS0", 0x1000, 0x2000});
    ASSERT_TRUE(edited) << edited.error().message();
    std::string text(edited->begin(), edited->end());
    EXPECT_NE(text.find("console=ttyS0"), std::string::npos);
    EXPECT_NE(text.find("linux,initrd-end"), std::string::npos);
    blob->resize(20);
    EXPECT_FALSE(edit_fdt(*blob, {}));
    EXPECT_FALSE(edit_fdt({}, {}));
}

} // namespace
} // namespace mimic::machines
