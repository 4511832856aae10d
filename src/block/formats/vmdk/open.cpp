// Opening a vmdk disk: the descriptor, the extents, the parent.
#include "block/formats/vmdk/vmdk.hpp"
#include <algorithm>

namespace mimic::block {

namespace vmdk {

namespace {

struct Extent {
    enum Kind : u8 { zero, flat, sparse } kind = zero;
    u64 start = 0, length = 0, offset = 0; // bytes; offset: of flat, in its file
    Node* file = nullptr;
    std::unique_ptr<SparseExtent> map;
    std::string type;
};

class VmdkNode final : public Node {
public:
    using Node::Node;

    u64 size() const override { return extents_.empty() ? 0 : extents_.back().start + extents_.back().length; }
    u64 cluster_size() const override {
        for (auto& e : extents_)
            if (e.map) return e.map->layout().block_size;
        return 0;
    }
    bool has_zero_init() const override {
        return !backing() &&
               std::ranges::all_of(extents_, [](auto& e) { return e.kind != Extent::flat || e.file->has_zero_init(); });
    }
    bool supports_compressed() const override { return packs(); }
    bool needs_compressed_writes() const override { return packs(); }
    ImageInfo info() const override;
    Task<Result<CheckReport>> check(Fix fix) override;

    Descriptor descriptor;
    u64 descriptor_place = 0; // in the file
    std::vector<Extent> extents_;
    std::string parent_format;

protected:
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override;
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override;
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags) override;
    Task<Result<void>> do_write_compressed(u64 offset, const IoVec& memory) override;
    Task<Result<void>> do_discard(u64 offset, u64 length) override;
    Task<Result<block::Extent>> do_status(u64 offset, u64 length) override;
    Task<Result<void>> do_flush() override;
    Task<Result<void>> do_close() override {
        if (options_.read_only || !file()) co_return Result<void>();
        co_return co_await do_flush();
    }
    Task<Result<void>> do_reopen(bool read_only) override {
        if (read_only) co_return co_await do_flush();
        if (extents_.size() != 1 || extents_[0].file != file())
            co_return unsupported("becoming writable when it has several files");
        CO_CHECK(extents_[0].map->check_writable());
        co_return co_await extents_[0].map->start_writing();
    }

private:
    bool packs() const { return !extents_.empty() && extents_[0].map && extents_[0].map->is_compressed(); }
    Extent* at(u64 offset) {
        auto e = std::ranges::upper_bound(extents_, offset, {}, &Extent::start);
        return e == extents_.begin() ? nullptr : &*std::prev(e);
    }
    Task<Result<void>> change_cid();
    bool cid_changed_ = false;
};

// Children of this disk know by its CID that it is still what they were made of.
Task<Result<void>> VmdkNode::change_cid() {
    if (cid_changed_ || !descriptor.cid_place) co_return Result<void>();
    do descriptor.cid = random_word();
    while (descriptor.cid >= no_parent - 1);
    std::string digits = fmt::format("{:08x}", descriptor.cid);
    std::vector<u8> bytes(digits.begin(), digits.end());
    CO_CHECK(co_await write_part(*file(), descriptor_place + descriptor.cid_place, bytes));
    cid_changed_ = true;
    co_return Result<void>();
}

Task<Result<void>> VmdkNode::do_read(u64 offset, const IoVec& memory) {
    for (u64 done = 0; done < memory.length();) {
        Extent* e = at(offset + done);
        u64 inside = offset + done - (e ? e->start : 0);
        if (!e || inside >= e->length) {
            memory.fill(done, memory.length() - done, 0);
            break;
        }
        IoVec part = memory.slice(done, std::min(memory.length() - done, e->length - inside));
        if (e->kind == Extent::sparse)
            CO_CHECK(co_await e->map->read(inside, part));
        else if (e->kind == Extent::flat)
            CO_CHECK(co_await e->file->read(e->offset + inside, part));
        else
            part.fill(0, part.length(), 0);
        done += part.length();
    }
    co_return Result<void>();
}

Task<Result<void>> VmdkNode::do_write(u64 offset, const IoVec& memory) {
    CO_CHECK(co_await change_cid());
    for (u64 done = 0; done < memory.length();) {
        Extent* e = at(offset + done);
        u64 inside = offset + done - e->start;
        IoVec part = memory.slice(done, std::min(memory.length() - done, e->length - inside));
        if (e->kind == Extent::sparse && e->map->is_compressed())
            CO_CHECK(co_await e->map->change_packed(inside, part));
        else if (e->kind == Extent::sparse)
            CO_CHECK(co_await e->map->write(inside, part));
        else if (e->kind == Extent::flat)
            CO_CHECK(co_await e->file->write(e->offset + inside, part));
        else
            co_return Error::unsupported("'{}': an extent of type ZERO can't be written", filename());
        done += part.length();
    }
    co_return Result<void>();
}

Task<Result<void>> VmdkNode::do_write_zeroes(u64 offset, u64 length, u32 flags) {
    CO_CHECK(co_await change_cid());
    while (length) {
        Extent* e = at(offset);
        u64 inside = offset - e->start, n = std::min(length, e->length - inside);
        if (e->kind == Extent::sparse && e->map->is_compressed()) {
            CO_TRY(auto status, co_await e->map->status(inside, n));
            n = status.length;
            if (!status.zero) co_return unsupported("zeroing packed grains");
        } else if (e->kind == Extent::sparse) {
            CO_CHECK(co_await e->map->write_zeroes(inside, n, flags));
        } else if (e->kind == Extent::flat) {
            CO_CHECK(co_await e->file->write_zeroes(e->offset + inside, n, flags));
        }
        offset += n;
        length -= n;
    }
    co_return Result<void>();
}

Task<Result<void>> VmdkNode::do_write_compressed(u64 offset, const IoVec& memory) {
    if (!packs()) co_return unsupported("compressed writes");
    CO_CHECK(co_await change_cid());
    SparseExtent& map = *extents_[0].map;
    u64 grain = map.layout().block_size;
    if (offset % grain || (memory.length() % grain && offset + memory.length() != size()))
        co_return Error::invalid_argument("compressed writes to '{}' are of whole grains ({} bytes)", filename(),
                                          grain);
    std::vector<u8> bytes;
    for (u64 done = 0; done < memory.length(); done += bytes.size()) {
        bytes.resize(std::min(grain, memory.length() - done));
        memory.copy_to(done, bytes.data(), bytes.size());
        CO_CHECK(co_await map.write_packed((offset + done) / grain, bytes));
    }
    co_return Result<void>();
}

Task<Result<void>> VmdkNode::do_discard(u64 offset, u64 length) {
    while (length) {
        Extent* e = at(offset);
        u64 inside = offset - e->start, n = std::min(length, e->length - inside);
        if (e->kind == Extent::sparse) CO_CHECK(co_await e->map->discard(inside, n));
        if (e->kind == Extent::flat) CO_CHECK(co_await e->file->discard(e->offset + inside, n));
        offset += n;
        length -= n;
    }
    co_return Result<void>();
}

Task<Result<block::Extent>> VmdkNode::do_status(u64 offset, u64 length) {
    Extent* e = at(offset);
    u64 inside = offset - e->start;
    length = std::min(length, e->length - inside);
    if (e->kind == Extent::sparse) co_return co_await e->map->status(inside, length);
    if (e->kind == Extent::zero) co_return block::Extent{.length = length, .allocated = true, .zero = true};
    if (e->offset + inside >= e->file->size())
        co_return block::Extent{.length = length, .allocated = true, .zero = true};
    CO_TRY(auto below, co_await e->file->status(e->offset + inside, length));
    below.data = true;
    co_return below;
}

Task<Result<void>> VmdkNode::do_flush() {
    for (auto& e : extents_) {
        if (e.kind == Extent::sparse) CO_CHECK(co_await e.map->flush());
        if (e.kind == Extent::flat) CO_CHECK(co_await e.file->flush());
    }
    co_return co_await file()->flush();
}

Task<Result<CheckReport>> VmdkNode::check(Fix fix) {
    CheckReport report;
    for (auto& e : extents_)
        if (e.map) CO_CHECK(co_await e.map->check(fix, report));
    co_return report;
}

ImageInfo VmdkNode::info() const {
    ImageInfo i;
    i.cluster_size = cluster_size();
    i.backing_file = descriptor.parent_cid == no_parent ? "" : descriptor.parent_hint;
    if (!i.backing_file.empty()) i.backing_format = "vmdk";
    Json data = Json::object(), list = Json::array();
    data.set("cid", u64(descriptor.cid));
    data.set("parent-cid", u64(descriptor.parent_cid));
    data.set("create-type", descriptor.create_type);
    for (auto& e : extents_) {
        Json one = Json::object();
        if (e.map && e.map->is_compressed()) one.set("compressed", true);
        one.set("virtual-size", e.length);
        one.set("filename", e.file ? e.file->filename() : "");
        if (e.map) one.set("cluster-size", e.map->layout().block_size);
        one.set("format", e.type);
        list.push(std::move(one));
    }
    data.set("extents", std::move(list));
    i.specific = Json::object();
    i.specific.set("type", "vmdk");
    i.specific.set("data", std::move(data));
    return i;
}

// A descriptor may say of which files a disk is made. Guessed formats get no files that their user didn't name or put there.
Result<void> check_name(const OpenArguments& a, const std::string& name) {
    bool beside = name.find('/') == std::string::npos && !has_protocol(name);
    if (!(a.probed || a.guessed_above) || beside) return {};
    return Error::permission(
        "the vmdk descriptor names the extent '{}' elsewhere, and the format was only guessed; name it "
        "(format=vmdk) to allow this",
        name);
}

Task<Result<void>> open_extents(VmdkNode& node, const OpenArguments& a) {
    u64 start = 0;
    for (size_t i = 0; i < node.descriptor.extents.size(); i++) {
        const ExtentLine& line = node.descriptor.extents[i];
        Extent e{.start = start, .length = line.sectors * sector, .type = line.type};
        start += e.length;
        if (line.type != "ZERO") {
            CO_CHECK(check_name(a, line.filename));
            auto file = co_await open_below(node.context(), a, {}, line.filename, "", !a.common.read_only, true);
            if (!file) co_return std::move(file).error().in(fmt::format("Could not open extent '{}'", line.filename));
            CO_CHECK(attach_file(node, a, *file, fmt::format("extents.{}", i)));
            e.file = file->get();
        }
        if (line.type == "SPARSE") {
            e.kind = Extent::sparse;
            CO_TRY(e.map, co_await SparseExtent::open(node, *e.file, e.start));
            if (!a.common.read_only && !a.no_io) {
                CO_CHECK(e.map->check_writable());
                CO_CHECK(co_await e.map->start_writing());
            }
            if (e.map->layout().size < e.length)
                co_return Error::corrupt("extent '{}' has {} bytes, expected {} as its descriptor says", line.filename,
                                         e.map->layout().size, e.length);
        } else if (e.file) {
            e.kind = Extent::flat;
            e.offset = line.offset * sector;
        }
        node.extents_.push_back(std::move(e));
    }
    co_return Result<void>();
}

Task<Result<std::string>> read_text(Node& file, u64 place, u64 length) {
    CO_TRY(auto bytes, co_await read_part(file, place, length, "vmdk descriptor"));
    co_return std::string(bytes.begin(), bytes.end());
}

// One file: the header says where the descriptor lies.
Task<Result<void>> open_single(VmdkNode& node, const OpenArguments& a) {
    CO_TRY(auto map, co_await SparseExtent::open(node, *a.file, 0));
    const Header& h = map->header();
    if (!a.common.read_only && !a.no_io) {
        CO_CHECK(map->check_writable());
        CO_CHECK(co_await map->start_writing());
    }
    if (h.descriptor) {
        node.descriptor_place = h.descriptor * sector;
        CO_TRY(auto text, co_await read_text(*a.file, node.descriptor_place, h.descriptor_size * sector));
        CO_TRY(node.descriptor, parse_descriptor(std::move(text)));
    } else {
        node.descriptor.create_type = "monolithicSparse";
    }
    u64 length = map->layout().size;
    node.extents_.push_back({.kind = Extent::sparse, .length = length, .file = a.file.get(), .map = std::move(map)});
    co_return Result<void>();
}

Task<Result<void>> open_described(VmdkNode& node, const OpenArguments& a) {
    if (a.file->size() > largest_descriptor)
        co_return Error::corrupt("the vmdk descriptor '{}' has {} bytes, expected at most {}", a.file->filename(),
                                 a.file->size(), largest_descriptor);
    CO_TRY(auto text, co_await read_text(*a.file, 0, a.file->size()));
    CO_TRY(node.descriptor, parse_descriptor(std::move(text)));
    if (node.descriptor.extents.empty()) co_return Error::corrupt("vmdk descriptor: there is no extent");
    co_return co_await open_extents(node, a);
}

Task<Result<NodePtr>> open_vmdk(Context& context, OpenArguments& a) {
    BackingOption backing = take_backing(a.options);
    OptionReader reader(a.options, "Block format 'vmdk'");
    CO_CHECK(reader.finish());
    CO_TRY(auto head, co_await read_part(*a.file, 0, std::min<u64>(a.file->size(), 2048), "vmdk header"));
    auto node = std::make_shared<VmdkNode>(context, *find_driver("vmdk"), a.common);
    CO_CHECK(attach_file(*node, a, a.file));
    if (has_magic(head))
        CO_CHECK(co_await open_single(*node, a));
    else if (head.size() >= 4 && std::equal(head.begin(), head.begin() + 4, "COWD"))
        co_return Error::unsupported(
            "extents of ESX Server ('COWD') are not supported, expected 'KDMV' or a descriptor");
    else if (is_descriptor(head))
        CO_CHECK(co_await open_described(*node, a));
    else
        co_return Error::invalid_argument("Image not in VMDK format");
    const Descriptor& d = node->descriptor;
    std::string parent = d.parent_cid == no_parent ? "" : d.parent_hint;
    CO_CHECK(co_await attach_backing(*node, a, std::move(backing), parent, "vmdk"));
    if (node->backing() && !a.no_io && d.parent_cid != no_parent)
        if (auto cid = cid_of(*node->backing()); cid && *cid != d.parent_cid)
            co_return Error::invalid_argument(
                "the parent '{}' of '{}' was changed since: its CID is {:08x}, expected {:08x}",
                node->backing()->filename(), node->filename(), *cid, d.parent_cid);
    co_return NodePtr(node);
}

int probe(std::span<const u8> head) {
    if (has_magic(head)) return 100;
    if (head.size() >= 4 && std::equal(head.begin(), head.begin() + 4, "COWD")) return 100;
    return is_descriptor(head) ? 100 : 0;
}

} // namespace

std::optional<u32> cid_of(const Node& node) {
    auto* vmdk = dynamic_cast<const VmdkNode*>(&node);
    if (!vmdk) return std::nullopt;
    return vmdk->descriptor.cid;
}

} // namespace vmdk

MIMIC_BLOCK_DRIVER(vmdk) = {
    .name = "vmdk",
    .supports_backing = true,
    .probe = vmdk::probe,
    .open = vmdk::open_vmdk,
    .create = vmdk::create,
    .describe_create = vmdk::describe_create,
    .print_create = vmdk::print_create,
};

} // namespace mimic::block
