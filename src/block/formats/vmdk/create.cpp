// Creating vmdk disks of each subformat.
#include "block/formats/vmdk/vmdk.hpp"

namespace mimic::block::vmdk {

namespace {

constexpr std::string_view adapters[] = {"ide", "lsilogic", "buslogic", "legacyESX"};
constexpr std::string_view subformats[] = {"monolithicSparse", "monolithicFlat", "twoGbMaxExtentSparse",
                                           "twoGbMaxExtentFlat", "streamOptimized"};
enum Subformat : u8 { monolithic_sparse, monolithic_flat, split_sparse, split_flat, stream };
constexpr u64 split_size = u64(2) << 30;
constexpr std::string_view default_tools = "2147483647"; // "unknown"

struct CreateOptions {
    std::optional<u64> size;
    std::optional<u8> adapter, subformat;
    std::optional<std::string> backing_file, backing_format, hardware_version, tools_version;
    std::optional<bool> compat6, zeroed_grain;
    void describe(OptionVisitor& v) {
        v.size("size", size, "Virtual disk size");
        v.choice("adapter_type", adapters, adapter,
                 "Virtual adapter type, can be one of ide (default), lsilogic, buslogic or legacyESX");
        v.string("backing_file", backing_file, "File name of a base image");
        v.string("backing_fmt", backing_format, "Must be 'vmdk' if present");
        v.boolean("compat6", compat6, "VMDK version 6 image");
        v.string("hwversion", hardware_version, "VMDK hardware version");
        v.string("toolsversion", tools_version, "VMware guest tools version");
        v.choice("subformat", subformats, subformat,
                 "VMDK flat extent format, can be one of {monolithicSparse (default) | monolithicFlat | "
                 "twoGbMaxExtentSparse | twoGbMaxExtentFlat | streamOptimized} ");
        v.boolean("zeroed_grain", zeroed_grain, "Enable efficient zero writes using the zeroed-grain GTE feature");
    }
    void fill() {
        if (!compat6) compat6 = false;
        if (!hardware_version) hardware_version = "undefined";
    }
    Subformat kind() const { return Subformat(subformat.value_or(0)); }
    bool flat() const { return kind() == monolithic_flat || kind() == split_flat; }
};

// "dir/disk.vmdk" to "dir/disk" and ".vmdk".
std::pair<std::string, std::string> split_name(const std::string& name) {
    size_t slash = name.rfind('/'), dot = name.rfind('.');
    if (dot == std::string::npos || (slash != std::string::npos && dot < slash)) return {name, ""};
    return {name.substr(0, dot), name.substr(dot)};
}
std::string base_name(const std::string& name) { return name.substr(name.rfind('/') + 1); }

Result<void> check_options(const CreateOptions& o) {
    if (*o.compat6 && *o.hardware_version != "undefined")
        return Error::invalid_argument("compat6 cannot be enabled with hwversion set");
    if (o.flat() && o.backing_file) return Error::invalid_argument("Flat image can't have backing file");
    if (o.flat() && o.zeroed_grain.value_or(false))
        return Error::invalid_argument("Flat image can't enable zeroed grain");
    if (o.backing_format && *o.backing_format != "vmdk")
        return Error::invalid_argument("backing_file must be a vmdk image");
    for (auto* text : {&o.hardware_version, &o.tools_version, &o.backing_file})
        if (*text && text->value().find_first_of("\"\n") != std::string::npos)
            return Error::invalid_argument("'{}' can't stand in a vmdk descriptor", **text);
    if (*o.size == 0 && o.kind() != monolithic_sparse && o.kind() != stream)
        return Error::invalid_argument("Image size is zero, which subformat {} can't have", subformats[o.kind()]);
    u64 most = u64(UINT32_MAX) * sector; // what a grain table can name
    if (!o.flat() && o.kind() != split_sparse && *o.size > most)
        return Error::invalid_argument("Image size {} is too large for one sparse extent (at most {})", *o.size, most);
    return {};
}

Task<Result<u32>> parent_cid(Context& context, const CreateArguments& a, const std::string& name) {
    OpenRequest r;
    r.filename = combine_path(a.filename, name);
    r.no_backing = true;
    r.format = "vmdk";
    auto node = co_await open_node(context, std::move(r));
    if (!node) co_return std::move(node).error().in("backing_file must be a vmdk image");
    u32 cid = cid_of(**node).value_or(no_parent);
    CO_CHECK(co_await (*node)->close());
    co_return cid;
}

// The files of the extents beside the descriptor, and its lines about them.
Task<Result<std::string>> create_extents(Context& context, const CreateArguments& a, const CreateOptions& o) {
    auto [stem, suffix] = split_name(a.filename);
    bool split = o.kind() == split_flat || o.kind() == split_sparse;
    std::string lines;
    u64 rest = *o.size;
    for (unsigned i = 1; rest || i == 1; i++) {
        u64 n = split ? std::min(rest, split_size) : rest;
        std::string name = split ? fmt::format("{}-{}{:03}{}", stem, o.flat() ? 'f' : 's', i, suffix)
                                 : fmt::format("{}-flat{}", stem, suffix);
        CO_CHECK(co_await create_file(context, a, name, [&](Node& file) -> Task<Result<void>> {
            if (o.flat()) co_return co_await file.truncate(n);
            co_return co_await write_sparse(file, new_header(n / sector, false, false, o.zeroed_grain.value_or(false)),
                                            "");
        }));
        lines += fmt::format("RW {} {} \"{}\"{}\n", n / sector, o.flat() ? "FLAT" : "SPARSE", base_name(name),
                             o.flat() ? " 0" : "");
        rest -= n;
    }
    co_return lines;
}

} // namespace

Task<Result<void>> create(Context& context, CreateArguments& a) {
    CO_TRY(auto o, read_create_options<CreateOptions>(a.options, "vmdk"));
    CO_CHECK(check_options(o));
    NewDescriptor d{.create_type = std::string(subformats[o.kind()]), .sectors = *o.size / sector};
    do d.cid = random_word();
    while (d.cid >= no_parent - 1);
    d.adapter = adapters[o.adapter.value_or(0)];
    d.hardware_version = *o.compat6 ? "6" : *o.hardware_version == "undefined" ? "4" : *o.hardware_version;
    d.tools_version = o.tools_version.value_or(std::string(default_tools));
    if (o.backing_file) {
        CO_TRY(d.parent_cid, co_await parent_cid(context, a, *o.backing_file));
        d.parent_hint = *o.backing_file;
    }
    bool one_file = o.kind() == monolithic_sparse || o.kind() == stream;
    if (one_file) {
        d.extents = fmt::format("RW {} SPARSE \"{}\"\n", d.sectors, base_name(a.filename));
    } else {
        CO_TRY(d.extents, co_await create_extents(context, a, o));
    }
    std::string text = print_descriptor(d);
    Header header = new_header(d.sectors, true, o.kind() == stream, o.zeroed_grain.value_or(false));
    co_return co_await create_file(context, a, a.filename, [&](Node& file) -> Task<Result<void>> {
        if (one_file) co_return co_await write_sparse(file, header, text);
        std::vector<u8> bytes(text.begin(), text.end());
        co_return co_await write_part(file, 0, bytes);
    });
}

void describe_create(OptionVisitor& v) { describe_options<CreateOptions>(v); }
Result<std::string> print_create(Json options) {
    return print_create_options<CreateOptions>(std::move(options), "vmdk");
}

} // namespace mimic::block::vmdk
