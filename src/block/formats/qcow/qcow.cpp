// qcow: version 1 of the format, a disk in clusters behind two levels of tables, with packed clusters and a backing image.
// Source: images of Debian's qemu-img, byte by byte. Encryption: AES as qcow2's older method (luks::legacy_cipher); packed
// clusters are never encrypted.
#include "base/io/pool.hpp"
#include "block/bytes.hpp"
#include "block/formats/deflate.hpp"
#include "block/formats/image.hpp"
#include "block/formats/luks/luks.hpp"
#include "block/objects.hpp"
#include <algorithm>

namespace mimic::block {

namespace {

constexpr u32 magic = 0x514649fb; // "QFI\xfb"
constexpr u64 header_bytes = 48, sector = 512;
constexpr u64 packed_flag = u64(1) << 63;
constexpr u64 longest_name = 1023;
constexpr u64 most_tables = 4u << 20; // an L1 table of 32 MiB
// With a backing image clusters are small: less is copied up. Without one they are larger.
constexpr u8 backed_bits = 9, backed_table_bits = 12, plain_bits = 12, plain_table_bits = 9;

struct Header {
    u64 backing_offset = 0, size = 0, directory = 0;
    u32 backing_length = 0;
    bool encrypted = false;
    u8 cluster_bits = plain_bits, table_bits = plain_table_bits;
    u64 cluster() const { return u64(1) << cluster_bits; }
    u64 table_entries() const { return u64(1) << table_bits; }
    u64 tables() const { return div_up(size, cluster() << table_bits); }
};

constexpr std::string_view encrypt_formats[] = {"aes"};

struct CreateOptions {
    std::optional<u64> size;
    std::optional<std::string> backing_file, backing_format, key_secret;
    std::optional<bool> encryption;
    std::optional<u8> format;
    void describe(OptionVisitor& v) {
        v.size("size", size, "Virtual disk size");
        v.string("backing_file", backing_file, "File name of a base image");
        v.string("backing_fmt", backing_format, "Format of the backing image");
        v.boolean("encryption", encryption, "Encrypt the image with format 'aes' (deprecated for encrypt.format=aes)");
        v.choice("encrypt.format", encrypt_formats, format, "Encrypt the image, format choices: 'aes'");
        v.string("encrypt.key-secret", key_secret, "ID of the secret that provides the AES encryption key");
    }
    void fill() {
        if (encryption.value_or(false)) format = 0;
        encryption.reset();
    }
};

Result<Header> parse(std::span<const u8> b) {
    if (get32(&b[0]) != magic) return Error::invalid_argument("Image not in qcow format");
    if (get32(&b[4]) != 1) return Error::unsupported("qcow (v{}) does not support qcow version {}", 1, get32(&b[4]));
    Header h{.backing_offset = get64(&b[8]), .size = get64(&b[24]), .directory = get64(&b[40])};
    h.backing_length = get32(&b[16]);
    h.cluster_bits = b[32];
    h.table_bits = b[33];
    if (h.size <= 1) return Error::corrupt("Image size is too small (must be at least 2 bytes)");
    if (h.cluster_bits < 9 || h.cluster_bits > 16)
        return Error::corrupt("Cluster size must be between 512 and 64k (found 2^{})", h.cluster_bits);
    // A table has as many entries as fit into 512 bytes to 64 KiB.
    if (h.table_bits < 6 || h.table_bits > 13)
        return Error::corrupt("L2 table size must be between 512 and 64k (found 2^{} entries)", h.table_bits);
    u32 crypt = get32(&b[36]);
    if (crypt > 1) return Error::unsupported("encryption method {} of a qcow image, expected 0 or 1 (AES)", crypt);
    h.encrypted = crypt == 1;
    if (h.encrypted && h.size % sector)
        return Error::corrupt("Size {} of an encrypted image, expected a multiple of 512", h.size);
    if (h.size > u64(INT64_MAX) - (u64(1) << 32))
        return Error::corrupt("qcow header: the size {} is too large", h.size);
    if (h.backing_length > longest_name)
        return Error::corrupt("Backing file name too long ({} bytes, expected at most {})", h.backing_length,
                              longest_name);
    return h;
}

class QcowMap final : public BlockMap {
public:
    QcowMap(Node& owner, Node& file, const Layout& l, const Header& h, std::optional<luks::SectorCipher> cipher)
        : BlockMap(owner, file, l)
        , h_(h)
        , cipher_(std::move(cipher)) {}

    // Clusters lie at multiples of their size, so what the file ends in is behind this.
    Task<Result<void>> start_writing() override {
        set_end(round_up(file_.size(), l_.block_size));
        co_return Result<void>();
    }
    Task<Result<void>> write_packed(u64 block, std::span<const u8> bytes) {
        std::vector<u8> whole(l_.block_size), packed(l_.block_size - 1);
        std::ranges::copy(bytes, whole.begin());
        size_t n = co_await owner_.loop().compute().run(owner_.loop(), [&] { return deflate_cluster(whole, packed); });
        if (n == 0) {
            IoVec memory(bytes);
            co_return co_await write(block * l_.block_size, memory);
        }
        u64 place = end_;
        if (place > l_.last_place >> h_.cluster_bits)
            co_return Error::no_space("'{}': packed clusters can't lie at {:#x}", file_.filename(), place);
        packed.resize(round_up(n, sector));
        end_ = place + packed.size();
        CO_CHECK(co_await write_part(file_, place, packed));
        co_return co_await set_entry(block, packed_flag | u64(n) << (63 - h_.cluster_bits) | place);
    }

protected:
    Block decode(u64 e) const override {
        if (e == 0) return {};
        return {e & packed_flag ? Block::packed : Block::data, e};
    }
    u64 encode(u64 offset) const override { return offset; }
    bool encrypted() const override { return h_.encrypted; }
    const luks::SectorCipher* cipher() const override { return cipher_ ? &*cipher_ : nullptr; }
    std::string_view table_name() const override { return "L2 table"; }
    Task<Result<u64>> allocate(u64 count) override {
        end_ = round_up(end_, l_.block_size);
        co_return co_await BlockMap::allocate(count);
    }
    Task<Result<void>> write_directory(u64 first, std::span<const u64> words) override {
        std::vector<u8> raw(words.size() * 8);
        for (size_t i = 0; i < words.size(); i++) put64(&raw[i * 8], words[i]);
        co_return co_await write_part(file_, h_.directory + first * 8, raw);
    }
    Task<Result<void>> unpack(u64 block, u64 e, std::span<u8> out) override {
        u64 place = e & ((u64(1) << (63 - h_.cluster_bits)) - 1);
        u64 length = e >> (63 - h_.cluster_bits) & (l_.block_size - 1);
        CO_TRY(auto packed, co_await read_part(file_, place, length, "packed cluster"));
        bool ok = co_await owner_.loop().compute().run(owner_.loop(), [&] { return inflate_cluster(packed, out); });
        if (!ok)
            co_return Error::corrupt("cluster {} of '{}' at {:#x} could not be unpacked", block, file_.filename(),
                                     place);
        co_return Result<void>();
    }

private:
    Header h_;
    std::optional<luks::SectorCipher> cipher_;
};

class QcowNode final : public MapNode {
public:
    QcowNode(Context& context, NodeOptions options, const Header& h)
        : MapNode(context, *find_driver("qcow"), std::move(options))
        , encrypted_(h.encrypted) {
        if (encrypted_) limits_.request_alignment = sector;
    }
    bool supports_compressed() const override { return !encrypted_; }
    ImageInfo info() const override {
        ImageInfo i = MapNode::info();
        i.encrypted = encrypted_;
        return i;
    }

protected:
    Task<Result<void>> do_write_compressed(u64 offset, const IoVec& memory) override {
        if (encrypted_)
            co_return Error::unsupported("'{}': packed clusters are not possible in an encrypted image", filename());
        auto& map = static_cast<QcowMap&>(*map_);
        u64 cluster = cluster_size();
        if (offset % cluster || (memory.length() % cluster && offset + memory.length() != size()))
            co_return Error::invalid_argument("compressed writes to '{}' are of whole clusters ({} bytes)", filename(),
                                              cluster);
        std::vector<u8> bytes;
        for (u64 done = 0; done < memory.length(); done += bytes.size()) {
            bytes.resize(std::min(cluster, memory.length() - done));
            memory.copy_to(done, bytes.data(), bytes.size());
            CO_CHECK(co_await map.write_packed((offset + done) / cluster, bytes));
        }
        co_return Result<void>();
    }

private:
    bool encrypted_;
};

// The key of an encrypted image; none if nothing is read.
Task<Result<std::optional<luks::SectorCipher>>> take_key(Context& context, OpenArguments& a, const Header& h) {
    std::optional<std::string> secret;
    std::optional<u8> format;
    OptionReader reader(a.options, "Block format 'qcow'");
    reader.choice("encrypt.format", encrypt_formats, format, "How the image is encrypted");
    reader.string("encrypt.key-secret", secret, "ID of the secret that provides the key");
    CO_CHECK(reader.finish());
    if ((format || secret) && !h.encrypted)
        co_return Error::invalid_argument("'{}' is not encrypted, expected no option of encryption",
                                          a.file->filename());
    if (!h.encrypted || (a.no_io && !secret)) co_return std::optional<luks::SectorCipher>();
    if (!secret) co_return Error::invalid_argument("Parameter 'encrypt.key-secret' is required for cipher");
    CO_TRY(auto key, find_secret(context, *secret));
    CO_TRY(auto cipher, luks::legacy_cipher({reinterpret_cast<const u8*>(key.data()), key.size()}));
    co_return std::optional(std::move(cipher));
}

Task<Result<NodePtr>> open_qcow(Context& context, OpenArguments& a) {
    BackingOption backing = take_backing(a.options);
    CO_TRY(auto bytes, co_await read_part(*a.file, 0, header_bytes, "qcow header"));
    CO_TRY(Header h, parse(bytes));
    CO_TRY(auto cipher, co_await take_key(context, a, h));
    auto node = std::make_shared<QcowNode>(context, a.common, h);
    CO_CHECK(attach_file(*node, a, a.file));
    if (h.tables() > most_tables || h.tables() > a.file->size() / 8)
        co_return Error::corrupt("Image too large: its L1 table has {} entries, the file {} bytes", h.tables(),
                                 a.file->size());
    CO_TRY(auto raw, co_await read_part(*a.file, h.directory, h.tables() * 8, "L1 table"));
    std::vector<u64> directory(h.tables());
    for (size_t i = 0; i < directory.size(); i++) directory[i] = get64(&raw[i * 8]);
    BlockMap::Layout l{.size = h.size, .block_size = h.cluster(), .page_entries = h.table_entries(), .entry_bytes = 8};
    l.big_endian = l.two_levels = true;
    l.holes_are_ours = false;
    l.first_block = header_bytes;
    l.last_place = u64(INT64_MAX) >> 1;
    auto map = std::make_unique<QcowMap>(*node, *a.file, l, h, std::move(cipher));
    map->set_directory(std::move(directory));
    node->set_map(std::move(map));
    if (!a.common.read_only && !a.no_io) CO_CHECK(co_await node->start_writing());
    std::string name;
    if (h.backing_offset && h.backing_length) {
        CO_TRY(auto text, co_await read_part(*a.file, h.backing_offset, h.backing_length, "backing file name"));
        name.assign(text.begin(), text.end());
    }
    node->set_backing_name(name, "");
    CO_CHECK(co_await attach_backing(*node, a, std::move(backing), name, ""));
    co_return NodePtr(node);
}

Task<Result<void>> create_qcow(Context& context, CreateArguments& a) {
    CO_TRY(auto o, read_create_options<CreateOptions>(a.options, "qcow"));
    if (*o.size == 0) co_return Error::invalid_argument("Image size is too small, cannot be zero length");
    std::string name = o.backing_file.value_or("");
    if (name.size() > longest_name)
        co_return Error::invalid_argument("Backing file name too long ({} bytes, expected at most {})", name.size(),
                                          longest_name);
    if (o.format.has_value() != o.key_secret.has_value())
        co_return Error::invalid_argument("encryption of a qcow image needs encrypt.format=aes and encrypt.key-secret");
    if (o.key_secret) CO_CHECK(find_secret(context, *o.key_secret));
    Header h{.size = *o.size, .encrypted = o.format.has_value()};
    if (!name.empty()) {
        h.cluster_bits = backed_bits;
        h.table_bits = backed_table_bits;
        h.backing_offset = header_bytes;
        h.backing_length = u32(name.size());
    }
    if (h.tables() > most_tables)
        co_return Error::invalid_argument("Image size {} is too large, expected at most {}", h.size,
                                          most_tables * (h.cluster() << h.table_bits));
    h.directory = round_up(header_bytes + name.size(), 8);
    std::vector<u8> b(h.directory);
    put32(&b[0], magic);
    put32(&b[4], 1);
    put64(&b[8], h.backing_offset);
    put32(&b[16], h.backing_length);
    put64(&b[24], h.size);
    b[32] = h.cluster_bits;
    b[33] = h.table_bits;
    put32(&b[36], h.encrypted);
    put64(&b[40], h.directory);
    std::ranges::copy(name, b.begin() + long(header_bytes));
    co_return co_await create_file(context, a, a.filename, [&](Node& file) -> Task<Result<void>> {
        CO_CHECK(co_await file.truncate(h.directory + round_up(h.tables() * 8, sector)));
        co_return co_await write_part(file, 0, b);
    });
}

} // namespace

MIMIC_BLOCK_DRIVER(qcow) = {
    .name = "qcow",
    .supports_backing = true,
    .probe =
        [](std::span<const u8> head) {
            return head.size() >= 8 && get32(&head[0]) == magic && get32(&head[4]) == 1 ? 100 : 0;
        },
    .open = open_qcow,
    .create = create_qcow,
    .describe_create = describe_options<CreateOptions>,
    .print_create = [](Json o) { return print_create_options<CreateOptions>(std::move(o), "qcow"); },
};

} // namespace mimic::block
