// block_exercise IMAGE OPTIONS SEED STEPS RAW [FORMAT]: opens an image (qcow2 without FORMAT) that exists, makes STEPS random changes and writes what
// its guest sees to RAW. With --seeds DIR it writes the fuzz targets' corpora into folders there instead. OPTIONS: letters; s snapshots, c compressed writes, r resizing, d discards.
#include "block/qcow2/exercise.hpp"
#include "block/bytes.hpp"
#include "block/formats/luks/luks.hpp"
#include "block/protocols/memory.hpp"
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

using namespace mimic;
using namespace mimic::block;

static io::Task<Result<void>> run(Context& context, char** argv, const char* format) {
    OpenRequest request;
    request.filename = argv[1];
    request.format = format;
    request.writable = true;
    request.cache = "unsafe";
    request.discard = DiscardMode::unmap;
    CO_TRY(NodePtr node, co_await open_node(context, request));
    std::vector<u8> content(node->size());
    IoVec memory{std::span<u8>(content)};
    CO_CHECK(co_await node->read(0, memory));
    std::string letters = argv[2];
    auto has = [&](char c) { return letters.find(c) != std::string::npos; };
    qcow2::Exercise::Settings settings{
        .snapshots = has('s'), .compressed = has('c'), .resize = has('r'), .discard = has('d')};
    settings.max_size = std::max<u64>(content.size() * 2, 1 << 20);
    qcow2::Exercise exercise(*node, std::move(content), std::strtoull(argv[3], nullptr, 10), settings);
    CO_CHECK(co_await exercise.run(std::strtoull(argv[4], nullptr, 10)));
    CO_CHECK(co_await exercise.compare());
    CO_CHECK(co_await node->close());
    std::ofstream out(argv[5], std::ios::binary);
    out.write(reinterpret_cast<const char*>(exercise.content().data()), std::streamsize(exercise.content().size()));
    if (!out.flush()) co_return Error::io("write '{}'", argv[5]);
    co_return Result<void>();
}

// Small images of many kinds, for the fuzzer to start from.
static void write_seeds(io::Loop& loop, const std::string& directory) {
    std::filesystem::create_directories(directory);
    unsigned n = 0;
    for (std::string options : {"size=64k,cluster_size=512", "size=64k,cluster_size=512,compat=0.10",
                                "size=1M,cluster_size=512,refcount_bits=1", "size=256k,cluster_size=16k,extended_l2=on",
                                "size=64k,cluster_size=1k,compression_type=zstd,refcount_bits=64"}) {
        std::string name = fmt::format("{}/seed{}.qcow2", directory, n++);
        Context context{.loop = loop};
        CreateArguments a{name, *parse_flat(options)};
        auto made = loop.run(qcow2_driver.create(context, a));
        if (!made) std::abort();
        OpenRequest r;
        r.filename = name;
        r.format = "qcow2";
        r.writable = true;
        NodePtr node = *loop.run(open_node(context, r));
        qcow2::Exercise exercise(*node, std::vector<u8>(node->size()), n, {.resize = false});
        auto ran = loop.run(exercise.run(12));
        auto closed = loop.run(node->close());
        if (!ran || !closed) std::abort();
    }
}

// Small images as the pieces that fuzz_image.hpp describes: the sectors that are not zero.
static std::vector<u8> pack(const MemoryImage& image) {
    std::vector<u8> out, sector(512);
    for (u64 at = 0; at < image.size; at += sector.size()) {
        IoVec memory{std::span<u8>(sector)};
        image.read(at, memory);
        bool last = at + sector.size() >= image.size;
        if (io::is_zero(sector.data(), sector.size()) && !last) continue;
        u8 head[8];
        put_le32(head, u32(at / 512));
        put_le32(head + 4, u32(std::min<u64>(sector.size(), image.size - at)));
        out.insert(out.end(), head, head + 8);
        out.insert(out.end(), sector.begin(), sector.begin() + le32(head + 4));
    }
    return out;
}

// A LUKS header at `place` whose key a single round and a single stripe hide: cheap to open, small to store.
static void put_cheap_luks(MemoryImage& image, u64 place, std::string_view secret, bool whole_volume) {
    luks::Header h = *luks::new_header({});
    u32 at = 2;
    for (auto& s : h.slot) {
        s.stripes = 1;
        s.offset = at++;
    }
    if (whole_volume) h.payload = at;
    h.digest_iterations = 1;
    luks::Key key(h.key_bytes, 0x5a);
    for (size_t i = 0; i < key.size(); i++) key[i] = u8(key[i] + i);
    luks::Key digest = luks::derive(h.algorithm.hash, key, h.digest_salt, 1, h.digest.size());
    std::ranges::copy(digest, h.digest.begin());
    h.slot[0].active = true;
    h.slot[0].iterations = 1;
    std::span<const u8> word(reinterpret_cast<const u8*>(secret.data()), secret.size());
    auto cipher =
        luks::SectorCipher::create(h.algorithm, luks::derive(h.algorithm.hash, word, h.slot[0].salt, 1, h.key_bytes));
    std::vector<u8> material(luks::sector);
    std::ranges::copy(key, material.begin());
    cipher->run(true, 0, material);
    std::vector<u8> bytes = luks::print(h);
    IoVec head{std::span<u8>(bytes)}, slot{std::span<u8>(material)};
    image.write(place, head);
    image.write(place + h.slot[0].offset * luks::sector, slot);
    if (whole_volume) image.size = std::max(image.size, (u64(h.payload) + 8) * luks::sector);
}

struct Seed {
    const char *target, *format, *options, *key = nullptr; // key: the option that names the secret
};
constexpr Seed packed_seeds[] = {
    {"vmdk", "vmdk", "size=128k"},
    {"vmdk", "vmdk", "size=128k,zeroed_grain=on"},
    {"vmdk", "vmdk", "size=128k,subformat=streamOptimized"},
    {"vdi", "vdi", "size=2M"},
    {"vdi", "vdi", "size=2M,static=on"},
    {"vpc", "vpc", "size=2M"},
    {"vpc", "vpc", "size=1M,subformat=fixed"},
    {"vhdx", "vhdx", "size=2M,block_size=1M"},
    {"vhdx", "vhdx", "size=2M,block_size=1M,subformat=fixed"},
    {"qcow", "qcow", "size=128k"},
    {"qcow_encrypted", "qcow", "size=128k,encrypt.format=aes,encrypt.key-secret=s", "encrypt.key-secret"},
    {"qed", "qed", "size=128k,cluster_size=4096,table_size=1"},
    {"luks", "luks", "", "key-secret"},
    {"qcow2_encrypted", "qcow2", "size=64k,cluster_size=512,encrypt.format=aes,encrypt.key-secret=s",
     "encrypt.key-secret"},
    {"qcow2_encrypted", "qcow2",
     "size=64k,cluster_size=4k,encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=1", "encrypt.key-secret"},
};

static Result<std::vector<u8>> make_seed(io::Loop& loop, const Seed& seed) {
    Context context{.loop = loop};
    context.secrets["s"] = "seed";
    auto image = std::make_shared<MemoryImage>();
    const Driver& driver = *find_driver(seed.format);
    if (*seed.options) {
        CreateArguments a{"memory", TRY(parse_flat(seed.options)), make_memory_node(context, image)};
        TRY(loop.run(driver.create(context, a)));
        // The slots' place is in the header's extension; a cheap volume takes it.
        if (std::strstr(seed.options, "luks")) {
            OpenArguments o;
            o.options = Json::object();
            o.no_io = true;
            o.file = make_memory_node(context, image, true);
            o.common.read_only = true;
            NodePtr node = TRY(loop.run(driver.open(context, o)));
            auto& opened = static_cast<qcow2::Qcow2&>(*node);
            u64 place = opened.header().luks_offset, length = opened.header().luks_length;
            TRY(loop.run(node->close()));
            image->zero(place, length);
            put_cheap_luks(*image, place, "seed", false);
        }
    } else {
        put_cheap_luks(*image, 0, "seed", true);
    }
    // A few written blocks, so that there are tables to break.
    OpenArguments o;
    o.options = seed.key ? TRY(parse_flat(fmt::format("{}=s", seed.key))) : Json::object();
    o.file = make_memory_node(context, image);
    NodePtr node = TRY(loop.run(driver.open(context, o)));
    std::vector<u8> data(512, 7);
    IoVec memory{std::span<u8>(data)};
    for (u64 at : {u64(0), round_down(node->size() / 2, 512)}) TRY(loop.run(node->write(at, memory)));
    TRY(loop.run(node->close()));
    return pack(*image);
}

static Result<void> write_packed_seeds(io::Loop& loop, const std::string& directory) {
    std::map<std::string, unsigned> count;
    for (auto& seed : packed_seeds) {
        std::string folder = fmt::format("{}/block_{}_fuzz", directory, seed.target);
        std::filesystem::create_directories(folder);
        std::vector<u8> bytes = TRY(make_seed(loop, seed).in("seed of {} with {}", seed.format, seed.options));
        std::ofstream out(fmt::format("{}/seed{}", folder, count[seed.target]++), std::ios::binary);
        out.write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
    }
    return {};
}

int main(int argc, char** argv) {
    auto loop = io::Loop::create();
    if (argc == 3 && std::strcmp(argv[1], "--seeds") == 0) {
        write_seeds(**loop, argv[2] + std::string("/block_qcow2_fuzz"));
        auto r = write_packed_seeds(**loop, argv[2]);
        if (!r) std::fprintf(stderr, "block_exercise: %s\n", r.error().message().c_str());
        return r ? 0 : 1;
    }
    if (argc != 6 && argc != 7) {
        std::fputs("usage: block_exercise IMAGE OPTIONS SEED STEPS RAW [FORMAT] | --seeds DIR\n", stderr);
        return 2;
    }
    Context context{.loop = **loop};
    auto r = (*loop)->run(run(context, argv, argc == 7 ? argv[6] : "qcow2"));
    if (!r) std::fprintf(stderr, "block_exercise: %s\n", r.error().message().c_str());
    return r ? 0 : 1;
}
