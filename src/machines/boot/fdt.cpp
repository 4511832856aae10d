#include "machines/boot/fdt.hpp"
#include <libfdt.h>

namespace mimic::machines {

namespace {
constexpr size_t room = 1 << 20, edit_room = 4096;
}

FdtWriter::FdtWriter() : blob_(new u8[room]) { // not made zero: a megabyte of pages that nobody will read
    check(fdt_create(blob_.get(), int(room)));
    check(fdt_finish_reservemap(blob_.get()));
    check(fdt_begin_node(blob_.get(), ""));
}

void FdtWriter::check(int result) {
    if (result < 0 && !error_) error_ = result;
}

void FdtWriter::node(const std::string& name, const std::function<void()>& inside) {
    check(fdt_begin_node(blob_.get(), name.c_str()));
    inside();
    check(fdt_end_node(blob_.get()));
}
void FdtWriter::empty(const char* name) { check(fdt_property(blob_.get(), name, nullptr, 0)); }
void FdtWriter::text(const char* name, std::string_view value) { texts(name, {value}); }
void FdtWriter::texts(const char* name, std::initializer_list<std::string_view> values) {
    std::string all;
    for (std::string_view v : values) (all += v) += '\0';
    check(fdt_property(blob_.get(), name, all.data(), int(all.size())));
}
void FdtWriter::cells(const char* name, std::initializer_list<u32> values) {
    cells(name, std::span(values.begin(), values.size()));
}
void FdtWriter::cells(const char* name, std::span<const u32> values) {
    std::vector<fdt32_t> big;
    big.reserve(values.size());
    for (u32 v : values) big.push_back(cpu_to_fdt32(v));
    check(fdt_property(blob_.get(), name, big.data(), int(big.size() * 4)));
}
void FdtWriter::bytes(const char* name, std::span<const u8> value) {
    check(fdt_property(blob_.get(), name, value.data(), int(value.size())));
}

Result<std::vector<u8>> FdtWriter::finish() {
    check(fdt_end_node(blob_.get()));
    check(fdt_finish(blob_.get()));
    if (error_) return Error::no_space("the device tree: {}", fdt_strerror(error_));
    return std::vector<u8>(blob_.get(), blob_.get() + fdt_totalsize(blob_.get()));
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
