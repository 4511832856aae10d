// AML by its bytes; tables as firmware puts them into memory; SMBIOS structures.
#include "devices/base/machine.hpp"
#include "machines/arm_virt_acpi.hpp"
#include "machines/boot/acpi.hpp"
#include "machines/boot/smbios.hpp"
#include <cstring>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <unistd.h>

namespace mimic::machines {
namespace {

using aml::Term;

Term bytes(std::initializer_list<int> list) {
    Term out;
    for (int v : list) out.push_back(u8(v));
    return out;
}

TEST(Aml, Integers) {
    EXPECT_EQ(aml::integer(0), bytes({0x00}));
    EXPECT_EQ(aml::integer(1), bytes({0x01}));
    EXPECT_EQ(aml::integer(0xff), bytes({0x0a, 0xff}));
    EXPECT_EQ(aml::integer(0x100), bytes({0x0b, 0x00, 0x01}));
    EXPECT_EQ(aml::integer(0x10000), bytes({0x0c, 0, 0, 1, 0}));
    EXPECT_EQ(aml::integer(0x4010000000), bytes({0x0e, 0, 0, 0, 0x10, 0x40, 0, 0, 0}));
}

TEST(Aml, PathsAndIdentifiers) {
    EXPECT_EQ(aml::path("\\_SB"), bytes({'\\', '_', 'S', 'B', '_'}));
    EXPECT_EQ(aml::path("A.B"), bytes({0x2e, 'A', '_', '_', '_', 'B', '_', '_', '_'}));
    EXPECT_EQ(aml::path("A.B.CDEF"), bytes({0x2f, 3, 'A', '_', '_', '_', 'B', '_', '_', '_', 'C', 'D', 'E', 'F'}));
    EXPECT_EQ(aml::eisa_id("PNP0A08"), bytes({0x0c, 0x41, 0xd0, 0x0a, 0x08}));
    EXPECT_EQ(aml::uuid("33db4d5b-1ff7-401c-9657-7441c03dd766"),
              bytes({0x11, 0x13, 0x0a, 0x10, 0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f,
                     0x1c, 0x40, 0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66}));
}

// A length counts its own bytes: 62 bytes of content make one of one byte, 63 one of two.
TEST(Aml, PackageLengths) {
    auto length = [](size_t content) {
        Term t = aml::scope("A", {Term(content - 4, 0xff)});
        return Term(t.begin() + 1, t.end() - i64(content));
    };
    EXPECT_EQ(length(62), bytes({0x3f}));
    EXPECT_EQ(length(63), bytes({0x41, 0x04}));
    EXPECT_EQ(length(4093), bytes({0x4f, 0xff}));
    EXPECT_EQ(length(4094), bytes({0x81, 0x00, 0x01}));
}

TEST(Aml, Resources) {
    EXPECT_EQ(aml::resources({aml::interrupt(0x21)}),
              bytes({0x11, 0x0e, 0x0a, 0x0b, 0x89, 6, 0, 1, 1, 0x21, 0, 0, 0, 0x79, 0}));
    EXPECT_EQ(aml::memory32(0x9000000, 0x1000), bytes({0x86, 9, 0, 1, 0, 0, 0, 9, 0, 0x10, 0, 0}));
    EXPECT_EQ(aml::bus_numbers(0, 255), bytes({0x88, 13, 0, 2, 0xc, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 1}));
    EXPECT_EQ(aml::gpio_interrupt(3, "\\P").size(), 28u);
}

// ---- what firmware does with the files

class Firmware : public devices::FwCfg {
public:
    std::string_view type() const override { return "fw_cfg_test"; }
    void describe(devices::Describe&) override {}
    void add(u16, std::vector<u8>) override {}
    Result<void> add_file(std::string name, std::vector<u8> content) override {
        files[name] = std::move(content);
        return {};
    }
    Result<void> add_file(std::string, devices::FwCfgFile&) override { return {}; }
    void remove_file(devices::FwCfgFile&) override {}
    bool takes_writes() const override { return false; }

    // Puts each file at an address of its own and runs the script.
    void run() {
        const std::vector<u8>& script = files["etc/table-loader"];
        ASSERT_EQ(script.size() % 128, 0u);
        u64 next = 0x100000000;
        for (size_t at = 0; at < script.size(); at += 128) {
            const u8* e = &script[at];
            std::string file(reinterpret_cast<const char*>(e + 4));
            ASSERT_TRUE(files.count(file)) << file;
            std::vector<u8>& f = files[file];
            switch (get(e, 4)) {
            case 1: address[file] = next += 0x10000; break;
            case 2: {
                u64 where = get(e + 116, 4);
                ASSERT_EQ(e[120], 8);
                u64 value = get(&f[where], 8) + address[reinterpret_cast<const char*>(e + 60)];
                std::memcpy(&f[where], &value, 8);
                break;
            }
            case 3: f[get(e + 60, 4)] = u8(-sum(&f[get(e + 64, 4)], get(e + 68, 4))); break;
            default: FAIL() << "command " << get(e, 4);
            }
        }
    }
    static u64 get(const u8* p, u32 n) {
        u64 v = 0;
        std::memcpy(&v, p, n);
        return v;
    }
    static u8 sum(const u8* p, u64 n) {
        u8 s = 0;
        for (u64 i = 0; i < n; i++) s = u8(s + p[i]);
        return s;
    }
    const u8* table(u64 at) { return &files["etc/acpi/tables"].at(at - address["etc/acpi/tables"]); }

    std::map<std::string, std::vector<u8>> files;
    std::map<std::string, u64> address;
};

std::string tables_of(Firmware& f) {
    std::string found;
    const u8* rsdp = f.files["etc/acpi/rsdp"].data();
    EXPECT_EQ(std::memcmp(rsdp, "RSD PTR ", 8), 0);
    EXPECT_EQ(Firmware::sum(rsdp, 20), 0);
    EXPECT_EQ(Firmware::sum(rsdp, 36), 0);
    auto look = [&](u64 at) {
        const u8* t = f.table(at);
        EXPECT_EQ(Firmware::sum(t, Firmware::get(t + 4, 4)), 0);
        found += std::string(reinterpret_cast<const char*>(t), 4) + fmt::format(":{} ", Firmware::get(t + 4, 4));
        return t;
    };
    const u8* xsdt = look(Firmware::get(rsdp + 24, 8));
    for (u64 n = 36; n < Firmware::get(xsdt + 4, 4); n += 8) {
        const u8* t = look(Firmware::get(xsdt + n, 8));
        if (std::memcmp(t, "FACP", 4) == 0) look(Firmware::get(t + 140, 8));
    }
    return found;
}

TEST(Acpi, TablesHoldTogetherInMemory) {
    Firmware v2, v3;
    arm_virt::AcpiBoard b{.smp = {.cpus = 2, .max_cpus = 2, .cores = 2}, .mpidrs = {0, 1}};
    ASSERT_TRUE(arm_virt::give_acpi_tables(b, v2));
    v2.run();
    std::string found = tables_of(v2);
    size_t dsdt = found.find("DSDT:");
    ASSERT_NE(dsdt, std::string::npos) << found;
    found.erase(dsdt, found.find(' ', dsdt) + 1 - dsdt);
    EXPECT_EQ(found, "XSDT:92 FACP:276 APIC:252 PPTT:96 GTDT:104 MCFG:60 SPCR:80 DBG2:92 ");
    b.gic_version = 3;
    b.mpidrs = {0, 1, 2};
    b.smp = {.cpus = 3, .max_cpus = 4, .sockets = 2, .cores = 1, .threads = 2}; // the last thread is not there
    ASSERT_TRUE(arm_virt::give_acpi_tables(b, v3));
    v3.run();
    found = tables_of(v3);
    EXPECT_NE(found.find("APIC:344 PPTT:176 "), std::string::npos) << found;
    EXPECT_NE(found.find("IORT:128 "), std::string::npos) << found;
}

// ---- SMBIOS

// Type, length and strings of each structure.
std::string walk(const std::vector<u8>& t) {
    std::string out;
    for (size_t at = 0; at < t.size();) {
        out += fmt::format("{}:{}", t[at], t[at + 1]);
        size_t s = at + t[at + 1];
        if (!t.at(s)) s++; // no strings: two zeros
        for (; t.at(s); s += std::strlen(reinterpret_cast<const char*>(&t[s])) + 1)
            out += fmt::format(" {}", reinterpret_cast<const char*>(&t[s]));
        at = s + 1;
        out += "\n";
    }
    return out;
}

TEST(Smbios, StructuresAndTheirStrings) {
    SmbiosBoard b;
    b.product = "Board", b.version = "1.0", b.uuid = "00112233-4455-6677-8899-aabbccddeeff";
    b.ram_start = 0x40000000, b.ram_bytes = 512 << 20;
    b.given = {{{"type", "0"}, {"vendor", "V"}, {"release", "2.5"}},
               {{"type", "1"}, {"serial", "S1"}, {"product", "P"}},
               {{"type", "11"}, {"value", "one"}, {"value", "two"}}};
    std::vector<u8> t = smbios_tables(b);
    EXPECT_EQ(walk(t), "0:24 V\n1:27 QEMU P 1.0 S1\n3:22 QEMU 1.0\n4:48 CPU 0 QEMU 1.0\n11:5 one two\n16:23\n"
                       "17:40 DIMM 0 QEMU\n19:31\n32:11\n127:4\n");
    EXPECT_EQ(t[0x14], 2); // firmware's version
    const u8* system = &t[24 + 3];
    EXPECT_EQ(Term(system + 8, system + 24),
              bytes({0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}));
}

TEST(Smbios, TheEntryPointAddsUp) {
    Firmware f;
    SmbiosBoard b;
    b.uuid = std::string(32, '0');
    ASSERT_TRUE(give_smbios_tables(b, f));
    const std::vector<u8>& e = f.files["etc/smbios/smbios-anchor"];
    ASSERT_EQ(e.size(), 24u);
    EXPECT_EQ(Firmware::sum(e.data(), 24), 0);
    EXPECT_EQ(Firmware::get(&e[12], 4), f.files["etc/smbios/smbios-tables"].size());
}

TEST(Smbios, AStructureFromAFileStandsInPlaceOfItsType) {
    std::string path = "/tmp/mimic-smbios-" + std::to_string(getpid());
    auto file = [&](std::vector<u8> b) {
        std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(b.data()), i64(b.size()));
        auto r = check_smbios({{"file", path}});
        return r ? std::string() : r.error().message();
    };
    EXPECT_NE(file({32, 11, 0, 0x20, 0, 0}).find("is no structure: 6 bytes"), std::string::npos);
    EXPECT_NE(file({200, 4, 0, 0}).find("is no structure: 4 bytes"), std::string::npos);
    EXPECT_NE(file({200, 4, 0, 0, 'a', 0}).find("its strings end at byte 6 of 6"), std::string::npos);
    EXPECT_NE(file({200, 4, 0, 0, 0, 0, 1}).find("its strings end at byte 6 of 7"), std::string::npos);
    EXPECT_NE(file({127, 4, 0, 0, 0, 0}).find("expected another type"), std::string::npos);
    EXPECT_NE(check_smbios({{"file", path + "-"}}).error().message().find("cannot open"), std::string::npos);
    EXPECT_EQ(file({32, 6, 7, 0x20, 1, 2, 'a', 'b', 0, 'c', 0, 0}), "");
    SmbiosBoard b;
    b.uuid = std::string(32, '0');
    b.structures = {*read_smbios_structure(path)};
    std::string all = walk(smbios_tables(b));
    EXPECT_NE(all.find("32:6 ab c\n"), std::string::npos) << all;
    EXPECT_EQ(all.find("32:11"), std::string::npos) << all;
    b.structures.clear();
    Firmware f;
    EXPECT_EQ(file({1, 4, 0, 1, 0, 0}), "");
    b.given = {{{"type", "1"}, {"serial", "x"}}, {{"file", path}}};
    EXPECT_NE(give_smbios_tables(b, f).error().message().find("has all of it"), std::string::npos);
    EXPECT_EQ(file({32, 6, 7, 0x20, 1, 2, 'a', 'b', 0, 'c', 0, 0}), "");
    b.given = {{{"file", path}}};
    ASSERT_TRUE(give_smbios_tables(b, f));
    EXPECT_EQ(walk(f.files["etc/smbios/smbios-tables"]), all);
    unlink(path.c_str());
}

TEST(Smbios, WhatUsersGiveIsChecked) {
    auto message = [](const devices::PropertyList& p) {
        auto r = check_smbios(p);
        return r ? std::string() : r.error().message();
    };
    EXPECT_EQ(message({{"type", "1"}, {"serial", "x"}}), "");
    EXPECT_EQ(message({{"type", "9"}}), "-smbios type: '9', expected 0, 1, 2, 3, 4, 11 or 17");
    EXPECT_EQ(message({{"serial", "x"}}), "-smbios type: '', expected 0, 1, 2, 3, 4, 11 or 17");
    EXPECT_EQ(message({{"type", "1"}, {"serail", "x"}}),
              "-smbios type=1: there is no 'serail', did you mean 'serial'?");
    EXPECT_EQ(message({{"type", "4"}, {"max-speed", "70000"}}),
              "-smbios type=4,max-speed: '70000', expected a number up to 65535");
    EXPECT_EQ(message({{"type", "0"}, {"release", "1"}}),
              "-smbios type=0,release: '1', expected MAJOR.MINOR up to 255.255");
    EXPECT_EQ(message({{"type", "1"}, {"uuid", "12"}}), "-smbios type=1,uuid: '12', expected 32 hexadecimal digits");
}

} // namespace
} // namespace mimic::machines
