// commit and rebase: moving data between an image and what backs it.
#include "app/img/commands.hpp"
#include <algorithm>
#include <cstring>

namespace mimic::img {

namespace {

constexpr u64 step_size = 2u << 20;

// Copies what the layers above `base` hold into it.
Task<Result<void>> commit_layers(Tool& tool, Node& top, Node& base, u64 rate) {
    Progress progress(tool.progress && !tool.quiet);
    auto began = std::chrono::steady_clock::now();
    u64 total = top.size();
    if (base.size() < total) CO_CHECK(co_await base.truncate(total));
    CO_TRY(auto buffer, Buffer::create(step_size));
    u64 copied = 0;
    for (u64 at = 0; at < total;) {
        CO_TRY(auto found, co_await block::status_above(top, &base, at, total - at));
        u64 length = found.extent.length;
        if (found.layer && found.extent.zero) {
            CO_CHECK(co_await base.write_zeroes(at, length, block::flag::may_unmap));
        } else if (found.layer) {
            length = std::min(length, step_size);
            IoVec memory(buffer.data(), length);
            CO_CHECK(co_await top.read(at, memory));
            CO_CHECK(co_await base.write(at, memory));
            copied += length;
            if (rate) {
                auto due = began + std::chrono::nanoseconds(u64(double(copied) / double(rate) * 1e9));
                auto now = std::chrono::steady_clock::now();
                if (due > now) co_await tool.loop.sleep(due - now);
            }
        }
        at += length;
        progress.set(at, total);
    }
    progress.set(total, std::max<u64>(total, 1));
    co_return co_await base.flush();
}

Node* find_base(Node& top, const std::string& name) {
    std::string path = block::combine_path(top.filename(), name);
    for (Node* n = top.backing(); n; n = n->backing())
        if (n->filename() == name || n->filename() == path) return n;
    return nullptr;
}

} // namespace

Task<int> cmd_commit(Tool& tool) {
    constexpr Arguments::Long longs[] = {{"object", true, opt_object}, {"image-opts", false, opt_image_opts}};
    Arguments args(tool.args, "f:b:dt:pqr:", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    bool ok = true, drop = false;
    std::string base_name;
    u64 rate = 0;
    for (auto& o : args.options()) switch (o.letter) {
        case 'b':
            base_name = o.value;
            drop = true; // the layers between would no longer fit
            break;
        case 'd': drop = true; break;
        case 't': tool.cache = o.value; break;
        case 'r': {
            auto n = size_argument(tool, "rate limit", o.value);
            if (!n) co_return 1;
            rate = *n;
            break;
        }
        default: tool.common(o, ok);
        }
    if (!ok) co_return 1;
    if (args.names().size() != 1) {
        tool.error("Expecting one image file name");
        co_return 1;
    }
    Tool::Open how{.writable = true,
                   .writable_chain = true,
                   .format = tool.format,
                   .cache = tool.cache,
                   .image_opts = tool.image_opts};
    how.discard = block::DiscardMode::unmap;
    Tool::Image image = co_await tool.open(args.names()[0], how);
    if (!image) co_return 1;
    Node* base = base_name.empty() ? image->backing() : find_base(*image, base_name);
    if (!base) {
        tool.error(base_name.empty()
                       ? "Image does not have a backing file"
                       : fmt::format("Did not find '{}' in the backing chain of '{}'", base_name, image->filename()));
        co_await tool.close(image);
        co_return 1;
    }
    auto r = co_await commit_layers(tool, *image, *base, rate);
    if (r && !drop) r = co_await image->make_empty();
    if (!r) tool.error(fmt::format("error while committing to '{}': {}", base->filename(), r.error().message()));
    bool closed = co_await tool.close(image);
    if (r && closed) tool.print("Image committed.\n");
    co_return r&& closed ? 0 : 1;
}

namespace {

// Reads zeros where the chain has none.
Task<Result<void>> read_chain(Node* node, u64 offset, const IoVec& memory) {
    if (!node || offset >= node->size()) {
        memory.fill(0, memory.length(), 0);
        co_return Result<void>();
    }
    co_return co_await node->read(offset, memory);
}

// Brings into the image what its old backing file shows differently from the new one.
Task<Result<void>> merge_difference(Tool& tool, Node& top, Node* fresh) {
    Progress progress(tool.progress && !tool.quiet);
    CO_TRY(auto old_bytes, Buffer::create(step_size));
    CO_TRY(auto new_bytes, Buffer::create(step_size));
    u64 total = top.size();
    Node* old = top.backing();
    u64 unit = std::max<u64>(top.cluster_size() / 16, 4096);
    for (u64 at = 0; at < total;) {
        CO_TRY(auto e, co_await top.status(at, total - at));
        if (e.allocated) {
            at += e.length;
            progress.set(at, total);
            continue;
        }
        u64 length = std::min(e.length, step_size);
        IoVec was(old_bytes.data(), length), now(new_bytes.data(), length);
        CO_CHECK(co_await read_chain(old, at, was));
        CO_CHECK(co_await read_chain(fresh, at, now));
        for (u64 i = 0; i < length;) {
            u64 n = std::min(length - i, unit);
            if (std::memcmp(old_bytes.data() + i, new_bytes.data() + i, n) != 0) {
                // Differences that touch go in one write.
                u64 end = i + n;
                while (end < length &&
                       std::memcmp(old_bytes.data() + end, new_bytes.data() + end, std::min(length - end, unit)) != 0)
                    end += std::min(length - end, unit);
                bool zero = io::is_zero(old_bytes.data() + i, end - i);
                IoVec part(old_bytes.data() + i, end - i);
                if (zero)
                    CO_CHECK(co_await top.write_zeroes(at + i, end - i));
                else
                    CO_CHECK(co_await top.write(at + i, part));
                n = end - i;
            }
            i += n;
        }
        at += length;
        progress.set(at, total);
    }
    progress.set(1, 1);
    co_return co_await top.flush();
}

} // namespace

Task<int> cmd_rebase(Tool& tool) {
    constexpr Arguments::Long longs[] = {
        {"object", true, opt_object}, {"image-opts", false, opt_image_opts}, {"force-share", false, 'U'}};
    Arguments args(tool.args, "f:F:b:upt:T:qU", longs);
    int status = 0;
    if (!tool.parsed(args, status)) co_return status;
    bool ok = true, unsafe = false;
    std::optional<std::string> base;
    std::string base_format;
    for (auto& o : args.options()) switch (o.letter) {
        case 'b': base = o.value; break;
        case 'F': base_format = o.value; break;
        case 'u': unsafe = true; break;
        case 't': tool.cache = o.value; break;
        case 'T': tool.source_cache = o.value; break;
        default: tool.common(o, ok);
        }
    if (!ok) co_return 1;
    if (args.names().size() != 1 || (!unsafe && !base)) {
        tool.error(args.names().size() != 1 ? "Expecting one image file name" : "Use backing file (-b) option");
        co_return 1;
    }
    if (!base_format.empty() && !block::find_driver(base_format)) {
        tool.error(fmt::format("Invalid format name: '{}'", base_format));
        co_return 1;
    }
    Tool::Open how{.writable = true,
                   .no_backing = unsafe,
                   .format = tool.format,
                   .cache = tool.cache,
                   .image_opts = tool.image_opts};
    Tool::Image image = co_await tool.open(args.names()[0], how);
    if (!image) co_return 1;
    std::string name = base.value_or("");
    if (!image->driver().supports_backing) {
        tool.error(fmt::format("Could not change the backing file to '{}': format {} has no backing files", name,
                               image->driver().name));
        bool closed = co_await tool.close(image);
        static_cast<void>(closed);
        co_return 1;
    }
    Tool::Image fresh;
    Result<void> r;
    if (!unsafe && !name.empty()) {
        Tool::Open how1{.format = base_format, .cache = tool.source_cache};
        std::string path = block::combine_path(image->filename(), name);
        fresh = co_await tool.open(path, how1);
        if (!fresh) {
            co_await tool.close(image);
            co_return 1;
        }
    }
    if (!name.empty() && base_format.empty()) {
        // Not to write the format down would mean to guess it at every later use.
        r = Error::invalid_argument("Could not change the backing file to '{}': backing format must be specified",
                                    name);
    }
    if (r && !unsafe) r = co_await merge_difference(tool, *image, fresh.node.get());
    if (r) r = co_await image->set_backing_file(name, base_format);
    if (!r) tool.error(r.error().message());
    bool closed = co_await tool.close(image);
    if (fresh) co_await tool.close(fresh);
    co_return r&& closed ? 0 : 1;
}

} // namespace mimic::img
