// vvfat: a directory of the host as a FAT disk, read-only: `fat:DIR`, `fat:32:DIR`, `fat:floppy:DIR`, or by options. What is
// there when it is opened is shown; what a file holds is read when it is read. Not there: writing.
#include "block/driver.hpp"
#include "block/formats/image.hpp"
#include "block/formats/vvfat/volume.hpp"
#include <algorithm>

namespace mimic::block {

namespace {

using vvfat::FatType;
using vvfat::sector;

constexpr size_t open_files = 16;

struct VvfatOptions {
    std::optional<std::string> dir, label, filename;
    std::optional<u64> fat_type;
    std::optional<bool> floppy, rw;
    void describe(OptionVisitor& v) {
        v.string("dir", dir, "The directory");
        v.number("fat-type", fat_type, "12, 16 or 32");
        v.boolean("floppy", floppy, "A floppy disk in place of a hard disk");
        v.string("label", label, "The volume's label, of up to 11 characters");
        v.boolean("rw", rw, "Writable (not supported)");
        v.string("filename", filename, "fat:[12:|16:|32:][floppy:][rw:]DIR");
    }
};

class VvfatNode final : public Node {
public:
    VvfatNode(Context& context, NodeOptions options, vvfat::Volume v)
        : Node(context, *find_driver("vvfat"), std::move(options))
        , v_(std::move(v)) {}

    u64 size() const override { return v_.total * sector; }
    Result<u64> allocated_size() const override { return unsupported("telling its size on the host"); }

protected:
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override {
        u64 data = (v_.hidden + v_.data_start()) * sector;
        for (u64 done = 0; done < memory.length();) {
            u64 at = offset + done, n = memory.length() - done;
            if (at >= size()) {
                memory.fill(done, n, 0);
                break;
            }
            if (at < data) {
                n = std::min(n, sector - at % sector);
                u8 bytes[sector] = {};
                vvfat::describe_sector(v_, at / sector, bytes);
                memory.copy_from(done, bytes + at % sector, n);
            } else {
                u64 cluster = (at - data) / v_.cluster_bytes() + 2;
                const vvfat::Item* item = cluster < u64(v_.clusters) + 2 ? v_.owner(u32(cluster)) : nullptr;
                u64 inside =
                    item ? at - data - u64(item->first - 2) * v_.cluster_bytes() : (at - data) % v_.cluster_bytes();
                n = std::min(n, (item ? item->clusters : 1) * v_.cluster_bytes() - inside);
                IoVec part = memory.slice(done, n);
                CO_CHECK(co_await read_item(item, inside, part));
            }
            done += n;
        }
        co_return Result<void>();
    }
    Task<Result<void>> do_write(u64, const IoVec&) override { co_return unsupported("writing"); }
    // What is free is zeros.
    Task<Result<Extent>> do_status(u64 offset, u64 length) override {
        u64 data = (v_.hidden + v_.data_start()) * sector;
        Extent e{.length = length, .allocated = true, .data = true};
        if (offset < data) {
            e.length = std::min(length, data - offset);
            co_return e;
        }
        const auto* last = v_.items.empty() ? nullptr : &v_.items.back();
        u64 used = last ? data + u64(last->first - 2 + last->clusters) * v_.cluster_bytes() : data;
        if (offset < used) {
            e.length = std::min(length, used - offset);
        } else {
            e.data = false;
            e.zero = true;
        }
        co_return e;
    }

private:
    Task<Result<void>> read_item(const vvfat::Item* item, u64 inside, const IoVec& memory) {
        memory.fill(0, memory.length(), 0);
        if (!item || inside >= item->size) co_return Result<void>();
        IoVec part = memory.slice(0, std::min(memory.length(), item->size - inside));
        if (item->path.empty()) {
            part.copy_from(0, &item->directory[inside], part.length());
            co_return Result<void>();
        }
        CO_TRY(auto file, open(*item));
        // A file that has become shorter reads as zeros where it ended.
        CO_TRY(u64 n, co_await file->read(inside, part));
        if (n < part.length()) part.fill(n, part.length() - n, 0);
        co_return Result<void>();
    }
    Result<std::shared_ptr<io::File>> open(const vvfat::Item& item) {
        for (auto& [path, file] : files_)
            if (path == item.path) return file;
        auto file = std::make_shared<io::File>(TRY(io::File::open(loop(), item.path, {})));
        if (files_.size() >= open_files) files_.erase(files_.begin());
        files_.emplace_back(item.path, file);
        return file;
    }

    vvfat::Volume v_;
    std::vector<std::pair<std::string, std::shared_ptr<io::File>>> files_;
};

// "fat:32:floppy:DIR"
void take_name(VvfatOptions& o) {
    std::string_view rest = *o.filename;
    if (rest.starts_with("fat:")) rest.remove_prefix(4);
    auto take = [&](std::string_view word) {
        if (!rest.starts_with(word)) return false;
        rest.remove_prefix(word.size());
        return true;
    };
    for (bool more = true; more;) {
        more = false;
        for (u64 type : {12, 16, 32})
            if (take(fmt::format("{}:", type))) {
                o.fat_type = type;
                more = true;
            }
        if (take("floppy:")) o.floppy = more = true;
        if (take("rw:")) o.rw = more = true;
    }
    o.dir = std::string(rest);
}

Task<Result<NodePtr>> open_vvfat(Context& context, OpenArguments& a) {
    VvfatOptions o;
    OptionReader reader(a.options, "Block driver 'vvfat'");
    o.describe(reader);
    CO_CHECK(reader.finish());
    if (o.filename) take_name(o);
    if (!o.dir || o.dir->empty()) co_return Error::invalid_argument("vvfat needs the option 'dir'");
    if (o.rw.value_or(false)) co_return Error::unsupported("vvfat '{}': writing (rw) is not supported", *o.dir);
    bool floppy = o.floppy.value_or(false);
    u64 type = o.fat_type.value_or(0) ? *o.fat_type : floppy ? 12 : 16;
    if (type != 12 && type != 16 && type != 32)
        co_return Error::invalid_argument("Valid FAT types are only 12, 16 and 32 (found {})", type);
    if (floppy && type != 12) co_return Error::invalid_argument("a floppy disk has FAT type 12 (found {})", type);
    std::string label = o.label.value_or("MIMIC VVFAT");
    if (label.size() > 11) co_return Error::invalid_argument("vvfat label cannot be longer than 11 bytes");
    if (!a.common.read_only) {
        if (!a.common.auto_read_only) co_return Error::permission("vvfat '{}' can only be opened read-only", *o.dir);
        a.common.read_only = true;
    }
    u64 skipped = 0;
    CO_TRY(auto volume, vvfat::make_volume(*o.dir, FatType(type), floppy, label, skipped));
    // The same directory is the same volume whenever it is opened.
    volume.serial = 0x811c9dc5;
    for (char c : *o.dir) volume.serial = (volume.serial ^ u8(c)) * 0x01000193; // FNV-1a
    if (skipped) context.warn(fmt::format("{} links and special files of '{}' are not shown", skipped, *o.dir));
    auto node = std::make_shared<VvfatNode>(context, a.common, std::move(volume));
    node->set_filename(fmt::format("fat:{}:{}{}", type, floppy ? "floppy:" : "", *o.dir));
    co_return NodePtr(node);
}

constexpr std::string_view schemes[] = {"fat"};

} // namespace

MIMIC_BLOCK_DRIVER(vvfat) = {.name = "vvfat", .is_protocol = true, .schemes = schemes, .open = open_vvfat};

} // namespace mimic::block
