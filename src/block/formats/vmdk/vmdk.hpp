// vmdk: VMware virtual disks. Source: VMware, "Virtual Disk Format 5.0" technical note (sparse extent header, descriptor file,
// stream-optimized extents). Not there: the COWD extents of older ESX servers, SESPARSE, raw device maps.
#pragma once
#include "block/formats/image.hpp"

namespace mimic::block::vmdk {

constexpr u64 sector = 512;
constexpr u32 no_parent = 0xffffffff;
constexpr u64 largest_descriptor = 1u << 20;

// ---- descriptor.cpp: the text that says of which files a disk is made ----

struct ExtentLine {
    std::string access, type, filename; // RW, SPARSE, "disk-s001.vmdk"
    u64 sectors = 0, offset = 0;        // length of the extent; of FLAT: where it begins in the file, in sectors
};

struct Descriptor {
    u32 cid = 0, parent_cid = no_parent;
    std::string create_type, parent_hint;
    std::vector<ExtentLine> extents;
    std::string text;     // as it stands in the file
    size_t cid_place = 0; // where the eight digits of CID= stand in it
};

// Errors name the line.
Result<Descriptor> parse_descriptor(std::string text);
// Is this the begin of one?
bool is_descriptor(std::span<const u8> head);

struct NewDescriptor {
    u32 cid = 0, parent_cid = no_parent;
    std::string create_type, parent_hint, adapter, hardware_version, tools_version, extents;
    u64 sectors = 0;
};
std::string print_descriptor(const NewDescriptor& d);

// ---- extent.cpp: sparse extents ----

enum HeaderFlags : u32 {
    newline_test = 1,
    redundant_tables = 2,
    zeroed_grains = 4,
    compressed = 1u << 16,
    markers = 1u << 17
};

struct Header {
    u32 version = 1, flags = newline_test | redundant_tables;
    u64 capacity = 0, grain = 128, descriptor = 0, descriptor_size = 0; // sectors
    u32 table_entries = 512;
    u64 redundant = 0, directory = 0, overhead = 0; // sectors
    u16 compression = 0;
    u64 tables() const { return div_up(div_up(capacity, grain), table_entries); }
};
bool has_magic(std::span<const u8> head);
// Errors name the field.
Result<Header> parse_header(std::span<const u8> bytes);
std::vector<u8> print_header(const Header& h);

class SparseExtent final : public BlockMap {
public:
    // Reads the header (and the footer, where that is the true one) and both directories.
    static Task<Result<std::unique_ptr<SparseExtent>>> open(Node& owner, Node& file, u64 base);
    const Header& header() const { return h_; }
    // Errors: what we can't write without harm.
    Result<void> check_writable() const;
    bool is_compressed() const { return h_.flags & compressed; }
    // A whole grain (or the disk's last part), packed behind the others.
    Task<Result<void>> write_packed(u64 block, std::span<const u8> bytes);
    // Any part of compressed grains: unpacked, changed, packed again.
    Task<Result<void>> change_packed(u64 offset, const IoVec& memory);

    SparseExtent(Node& owner, Node& file, const Layout& l, const Header& h);

protected:
    Block decode(u64 entry) const override;
    u64 encode(u64 offset) const override { return offset / sector; }
    std::optional<u64> zero_entry(u64 old) const override;
    u64 directory_place(u64 word) const override { return word * sector; }
    u64 directory_word(u64 place) const override { return place / sector; }
    std::string_view table_name() const override { return "grain table"; }
    Task<Result<void>> write_page(u64 page, u64 place, u64 offset, std::span<const u8> bytes) override;
    Task<Result<void>> write_directory(u64 first, std::span<const u64> words) override;
    Task<Result<void>> unpack(u64 block, u64 entry, std::span<u8> out) override;

private:
    Header h_;
    std::vector<u64> redundant_;
    bool from_footer_ = false;
    io::Mutex packing_;
};

// Header, both directories and their grain tables of an empty extent; the descriptor's room lies between.
Task<Result<void>> write_sparse(Node& file, Header h, const std::string& descriptor);
// The header of an extent of so many sectors.
Header new_header(u64 sectors, bool with_descriptor, bool stream, bool zeroed);

// ---- create.cpp ----
Task<Result<void>> create(Context& context, CreateArguments& a);
void describe_create(OptionVisitor& v);
Result<std::string> print_create(Json options);
// open.cpp; the CID of a vmdk image, none for others
std::optional<u32> cid_of(const Node& node);

} // namespace mimic::block::vmdk
