#include "machines/boot/fdt.hpp"
#include <libfdt.h>

namespace mimic::machines {

namespace {
// A tree of a few processors fits the first room; that of the largest board the last.
constexpr size_t first_room = 32 << 10, last_room = 4 << 20, edit_room = 4096;
} // namespace

FdtWriter::FdtWriter() : blob_(first_room) {
    check(fdt_create(blob_.data(), int(blob_.size())));
    check(fdt_finish_reservemap(blob_.data()));
    begin("");
}

void FdtWriter::check(int result) {
    if (result < 0 && !error_) error_ = result;
}

// Once more with twice the room, where `operation` has too little: it changed nothing that counts then.
template <class Operation>
void FdtWriter::write(Operation operation) {
    int result = operation();
    while (result == -FDT_ERR_NOSPACE && blob_.size() < last_room) {
        std::vector<u8> larger(2 * blob_.size());
        if (result = fdt_resize(blob_.data(), larger.data(), int(larger.size())); result < 0) break;
        blob_ = std::move(larger);
        result = operation();
    }
    check(result);
}

void FdtWriter::begin(const char* name) {
    write([&] { return fdt_begin_node(blob_.data(), name); });
}
void FdtWriter::end() {
    write([&] { return fdt_end_node(blob_.data()); });
}
void FdtWriter::property(const char* name, const void* value, size_t bytes) {
    write([&] { return fdt_property(blob_.data(), name, value, int(bytes)); });
}

void FdtWriter::node(const std::string& name, const std::function<void()>& inside) {
    begin(name.c_str());
    inside();
    end();
}
void FdtWriter::empty(const char* name) { property(name, nullptr, 0); }
void FdtWriter::text(const char* name, std::string_view value) { texts(name, {value}); }
void FdtWriter::texts(const char* name, std::initializer_list<std::string_view> values) {
    std::string all;
    for (std::string_view v : values) (all += v) += '\0';
    property(name, all.data(), all.size());
}
void FdtWriter::cells(const char* name, std::initializer_list<u32> values) {
    cells(name, std::span(values.begin(), values.size()));
}
void FdtWriter::cells(const char* name, std::span<const u32> values) {
    std::vector<fdt32_t> big;
    big.reserve(values.size());
    for (u32 v : values) big.push_back(cpu_to_fdt32(v));
    property(name, big.data(), big.size() * 4);
}
void FdtWriter::bytes(const char* name, std::span<const u8> value) { property(name, value.data(), value.size()); }

Result<std::vector<u8>> FdtWriter::finish() {
    end();
    write([&] { return fdt_finish(blob_.data()); });
    if (error_) return Error::no_space("the device tree: {}", fdt_strerror(error_));
    blob_.resize(fdt_totalsize(blob_.data()));
    return std::move(blob_);
}

Result<std::vector<u8>> edit_fdt(std::vector<u8> blob, const FdtEdits& edits) {
    int size = int(blob.size());
    if (int why = fdt_check_full(blob.data(), blob.size()); why < 0)
        return Error::corrupt("the device tree: {}", fdt_strerror(why));
    size += int(edit_room + edits.bootargs.size());
    std::vector<u8> out{};
    out.resize(size_t(size));
    int result = fdt_open_into(blob.data(), out.data(), size);
    int chosen = result < 0 ? result : fdt_path_offset(out.data(), "/chosen");
    if (chosen == -FDT_ERR_NOTFOUND) chosen = fdt_add_subnode(out.data(), 0, "chosen");
    if (chosen >= 0 && !edits.bootargs.empty())
        chosen = std::min(chosen, fdt_setprop_string(out.data(), chosen, "bootargs", edits.bootargs.c_str()) < 0
                                      ? -FDT_ERR_NOSPACE
                                      : chosen);
    if (chosen >= 0 && edits.initrd_end) {
        bool ok = fdt_setprop_u64(out.data(), chosen, "linux,initrd-start", edits.initrd_start) == 0 &&
                  fdt_setprop_u64(out.data(), chosen, "linux,initrd-end", edits.initrd_end) == 0;
        if (!ok) chosen = -FDT_ERR_NOSPACE;
    }
    if (chosen < 0) return Error::corrupt("the device tree: {}", fdt_strerror(chosen));
    fdt_pack(out.data());
    out.resize(fdt_totalsize(out.data()));
    return out;
}

} // namespace mimic::machines
