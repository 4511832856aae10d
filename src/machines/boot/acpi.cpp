#include "machines/boot/acpi.hpp"
#include <cstring>

namespace mimic::machines {
namespace {

constexpr std::string_view tables_file = "etc/acpi/tables", rsdp_file = "etc/acpi/rsdp";
constexpr std::string_view oem_id = "MIMIC", oem_table_id = "MIMIC", creator_id = "MIMC";
constexpr u32 oem_revision = 1, creator_revision = 1;

u8 checksum(const u8* bytes, u32 count) {
    u8 sum = 0;
    for (u32 i = 0; i < count; i++) sum = u8(sum + bytes[i]);
    return u8(-sum);
}

// ---- the script: entries of 128 bytes, numbers little-endian, names of files in 56 bytes

constexpr u32 entry_bytes = 128, name_bytes = 56;
enum class Command : u32 { allocate = 1, add_pointer = 2, add_checksum = 3 };
enum class Zone : u8 { any = 1, below_1m = 2 }; // the RSDP of PCs is looked for below 1 MiB

class Script {
public:
    void allocate(std::string_view file, u32 align, Zone zone) {
        begin(Command::allocate).text(file, name_bytes).put(align, 4).put(u8(zone), 1);
        end();
    }
    void add_pointer(std::string_view in, u32 at, std::string_view to) {
        begin(Command::add_pointer).text(in, name_bytes).text(to, name_bytes).put(at, 4).put(8, 1);
        end();
    }
    void add_checksum(std::string_view file, u32 at, u32 from, u32 length) {
        begin(Command::add_checksum).text(file, name_bytes).put(at, 4).put(from, 4).put(length, 4);
        end();
    }
    const std::vector<u8>& bytes() const { return out_.bytes(); }

private:
    AcpiBytes& begin(Command c) { return out_.put(u32(c), 4); }
    void end() { out_.zeros(u32(-i32(out_.size())) % entry_bytes); }
    AcpiBytes out_;
};

} // namespace

AcpiBytes& AcpiBytes::put(u64 value, u32 bytes) {
    for (u32 i = 0; i < bytes; i++) bytes_.push_back(u8(value >> (8 * i)));
    return *this;
}

AcpiBytes& AcpiBytes::text(std::string_view text, u32 bytes) {
    for (u32 i = 0; i < bytes; i++) bytes_.push_back(i < text.size() ? u8(text[i]) : 0);
    return *this;
}

AcpiBytes& AcpiBytes::address(u64 at, u32 bits) {
    u32 access = bits == 64 ? 4 : bits == 32 ? 3 : bits == 16 ? 2 : bits == 8 ? 1 : 0;
    return put(0, 1).put(bits, 1).put(0, 1).put(access, 1).put(at, 8); // space 0: system memory
}

// Section 5.2.6.
u32 AcpiTables::add(std::string_view signature, u8 revision, const AcpiBytes& body, bool listed) {
    while (bytes_.size() % 16) bytes_.push_back(0);
    u32 at = u32(bytes_.size()), length = header_bytes + body.size();
    AcpiBytes header;
    header.text(signature, 4).put(length, 4).put(revision, 1).put(0, 1);
    header.text(oem_id, 6).text(oem_table_id, 8).put(oem_revision, 4).text(creator_id, 4).put(creator_revision, 4);
    bytes_.insert(bytes_.end(), header.bytes().begin(), header.bytes().end());
    bytes_.insert(bytes_.end(), body.bytes().begin(), body.bytes().end());
    bytes_[at + 9] = checksum(&bytes_[at], length);
    tables_.push_back({at, length});
    if (listed) listed_.push_back(at);
    return at;
}

void AcpiTables::point(u32 at, u32 target) {
    u64 value = target;
    std::memcpy(&bytes_[at], &value, 8);
    pointers_.push_back(at);
}

Result<void> AcpiTables::give_to(devices::FwCfg& fw_cfg) {
    AcpiBytes list;
    list.zeros(8 * u32(listed_.size()));
    auto targets = listed_;
    u32 xsdt = add("XSDT", 1, list, false);
    for (size_t i = 0; i < targets.size(); i++) point(xsdt + header_bytes + 8 * u32(i), targets[i]);

    constexpr u32 rsdp_bytes = 36, rsdp_1_bytes = 20, xsdt_at = 24; // section 5.2.5.3
    AcpiBytes rsdp;
    rsdp.text("RSD PTR ", 8).put(0, 1).text(oem_id, 6).put(2, 1).put(0, 4).put(rsdp_bytes, 4).put(xsdt, 8).zeros(4);

    Script script;
    script.allocate(tables_file, 64, Zone::any);
    script.allocate(rsdp_file, 16, Zone::below_1m);
    for (u32 at : pointers_) script.add_pointer(tables_file, at, tables_file);
    script.add_pointer(rsdp_file, xsdt_at, tables_file);
    for (const Checksum& c : tables_) {
        bytes_[c.at + 9] = 0; // it is of what firmware makes of the table
        script.add_checksum(tables_file, c.at + 9, c.at, c.length);
    }
    script.add_checksum(rsdp_file, 8, 0, rsdp_1_bytes);
    script.add_checksum(rsdp_file, 32, 0, rsdp_bytes);
    TRY(fw_cfg.add_file(std::string(tables_file), bytes_));
    TRY(fw_cfg.add_file(std::string(rsdp_file), rsdp.bytes()));
    return fw_cfg.add_file("etc/table-loader", script.bytes());
}

} // namespace mimic::machines
