#include "block/formats/image.hpp"
#include <cstring>
#include <sys/random.h>

namespace mimic::block {

Task<Result<std::vector<u8>>> read_part(Node& file, u64 offset, u64 length, std::string_view what) {
    if (offset > file.size() || length > file.size() - offset)
        co_return Error::corrupt("{} of '{}' at {:#x} with {} bytes is past the end of the file ({} bytes)", what,
                                 file.filename(), offset, length, file.size());
    std::vector<u8> bytes(length);
    IoVec memory{std::span<u8>(bytes)};
    CO_CHECK(co_await file.read(offset, memory));
    co_return bytes;
}

Task<Result<void>> write_part(Node& file, u64 offset, std::span<const u8> bytes) {
    IoVec memory(bytes);
    co_return co_await file.write(offset, memory);
}

Result<void> attach_file(Node& node, const OpenArguments& a, NodePtr file, std::string role) {
    u8 perms = perm::consistent_read, shared = perm::consistent_read | perm::write_unchanged;
    if (!a.common.read_only) perms |= perm::write | perm::resize;
    if (a.common.force_share) shared = perm::all;
    if (node.filename().empty()) node.set_filename(file->filename());
    return node.add_child(std::move(file), std::move(role), perms, shared);
}

Task<Result<NodePtr>> open_below(Context& context, const OpenArguments& a, Json given, const std::string& name,
                                 const std::string& format, bool writable, bool raw_data) {
    OpenRequest r;
    r.writable = writable;
    r.force_share = a.common.force_share;
    r.writable_chain = a.writable_chain;
    r.no_io = a.no_io;
    r.depth = a.depth + 1;
    r.cache = a.cache;
    r.guessed_above = a.probed || a.guessed_above;
    r.discard = DiscardMode::unmap;
    if (given.string()) {
        auto at = context.names.find(*given.string());
        if (at == context.names.end()) co_return Error::not_found("Cannot find a node named '{}'", *given.string());
        co_return at->second->shared_from_this();
    }
    if (given.members()) {
        r.options = std::move(given);
        if (!raw_data && !r.options.find("file") && !r.options.find("driver")) {
            r.filename = combine_path(a.file->filename(), name);
            if (!r.options.find("driver")) r.format = format;
        }
    } else {
        r.filename = combine_path(a.file->filename(), name);
        r.format = format;
    }
    if (raw_data) {
        NodeOptions common = a.common;
        common.node_name.clear();
        common.read_only = !writable;
        common.discard = DiscardMode::unmap;
        common.detect_zeroes = DetectZeroes::off;
        if (r.filename.empty()) r.filename = "json:" + r.options.dump();
        co_return co_await open_protocol(context, r.filename, common);
    }
    co_return co_await open_node(context, std::move(r));
}

BackingOption take_backing(Json& options) {
    const Json* found = options.find("backing");
    bool drop = found && found->is_null();
    return {options.take("backing"), drop};
}

Task<Result<void>> attach_backing(Node& node, const OpenArguments& a, BackingOption option, const std::string& name,
                                  const std::string& format) {
    Json given = std::move(option.given);
    if (a.no_backing || option.drop || (name.empty() && !given.members() && !given.string())) co_return Result<void>();
    auto below = co_await open_below(node.context(), a, std::move(given), name, format, a.writable_chain, false);
    if (!below) {
        Result<void> closed = co_await node.close();
        std::move(closed).ignore();
        co_return std::move(below).error().in("Could not open backing file");
    }
    u8 shared = perm::consistent_read | perm::write_unchanged;
    if (a.writable_chain) shared |= perm::write | perm::resize;
    if (a.common.force_share) shared = perm::all;
    co_return node.add_child(*below, "backing", perm::consistent_read, shared);
}

Task<Result<void>> create_file(Context& context, const CreateArguments& a, const std::string& filename, Fill fill) {
    NodePtr file = a.file && filename == a.filename ? a.file : nullptr;
    bool lent = bool(file);
    if (!lent) {
        CO_CHECK(co_await create_protocol(context, filename, 0, Prealloc::off));
        NodeOptions common;
        common.cache_no_flush = true;
        common.discard = DiscardMode::unmap;
        CO_TRY(file, co_await open_protocol(context, filename, common));
    }
    Result<void> written, closed;
    {
        CO_TRY(auto edge, Edge::attach(file, nullptr, "creation", perm::consistent_read | perm::write | perm::resize,
                                       perm::write_unchanged));
        if (lent) written = co_await file->truncate(0);
        if (written) written = co_await fill(*file);
    }
    if (!lent) closed = co_await file->close();
    co_return written ? closed : written;
}

void make_uuid(u8* out) {
    for (size_t done = 0; done < 16;) {
        ssize_t n = getrandom(out + done, 16 - done, 0);
        if (n > 0) done += size_t(n);
    }
    out[6] = u8((out[6] & 0x0f) | 0x40);
    out[8] = u8((out[8] & 0x3f) | 0x80);
}

u32 random_word() {
    u8 bytes[16];
    make_uuid(bytes);
    u32 n;
    std::memcpy(&n, bytes, sizeof n);
    return n;
}

std::string uuid_text(const u8* b) {
    std::string out;
    for (int i = 0; i < 16; i++) out += fmt::format("{}{:02x}", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", b[i]);
    return out;
}

ImageInfo MapNode::info() const {
    ImageInfo i;
    i.cluster_size = cluster_size();
    i.backing_file = backing_file_;
    i.backing_format = backing_format_;
    return i;
}

Task<Result<CheckReport>> MapNode::check(Fix fix) {
    CheckReport report;
    CO_CHECK(co_await map_->check(fix, report));
    co_return report;
}

Task<Result<void>> MapNode::do_close() {
    if (options_.read_only || !map_ || !file()) co_return Result<void>();
    co_return co_await map_->flush();
}

Task<Result<void>> MapNode::do_reopen(bool read_only) {
    if (!read_only) co_return co_await start_writing();
    co_return co_await map_->flush();
}

} // namespace mimic::block
