// Opening a tree of nodes from file names and options; the list of drivers; probing.
#include "block/driver.hpp"
#include <algorithm>
#include <cctype>
#include <sys/stat.h>

namespace mimic::block {

#define DRIVER(ident) extern const Driver ident##_driver;
#include "drivers.inc"
#undef DRIVER

namespace {

constexpr const Driver* all_drivers[] = {
#define DRIVER(ident) &ident##_driver,
#include "drivers.inc"
#undef DRIVER
};
constexpr size_t probe_size = 2048;
// Longer chains are a mistake or an attack: an image that backs itself.
constexpr unsigned deepest_chain = 200;

// Takes the options that all nodes have out of the tree.
Result<void> take_common(const Context& context, Json& tree, NodeOptions& o) {
    std::string owner = "the block node";
    OptionReader reader(tree, owner);
    std::optional<std::string> name;
    reader.string("node-name", name, "");
    if (name) {
        if (context.names.contains(*name)) return Error::exists("Duplicate nodes with node-name='{}'", *name);
        if (name->empty() || name->size() > 31 || !std::isalpha(u8((*name)[0])))
            return Error::invalid_argument("Invalid node-name: '{}'", *name);
        o.node_name = *name;
    }
    reader.flag("read-only", o.read_only, "");
    reader.flag("auto-read-only", o.auto_read_only, "");
    reader.flag("force-share", o.force_share, "");
    reader.flag("cache.direct", o.cache_direct, "");
    reader.flag("cache.no-flush", o.cache_no_flush, "");
    reader.choice_of("discard", discard_names, o.discard, "");
    reader.choice_of("detect-zeroes", detect_zeroes_names, o.detect_zeroes, "");
    TRY(reader.so_far());
    if (o.force_share && !o.read_only)
        return Error::invalid_argument("force-share=on can only be used with read-only images");
    if (o.detect_zeroes == DetectZeroes::unmap && o.discard != DiscardMode::unmap)
        return Error::invalid_argument(
            "setting detect-zeroes to unmap is not allowed without setting discard to unmap");
    return {};
}

// "json:{...}" and "file:..." to options.
Result<void> apply_filename(const std::string& filename, Json& options) {
    if (filename.starts_with("json:")) {
        Json flat = TRY(Json::parse(std::string_view(filename).substr(5)).in("Could not open '{}'", filename));
        Json parsed = TRY(nest(std::move(flat)));
        for (auto& [name, value] : *parsed.members())
            if (!options.find(name)) options.set(name, std::move(value));
        return {};
    }
    Json* file = options.find("file");
    if (!file) file = &options.set("file", Json::object());
    if (file->members() && !file->find("filename")) file->set("filename", filename);
    return {};
}

bool is_block_device(const std::string& path) {
    struct stat st;
    return stat(path.c_str(), &st) == 0 && S_ISBLK(st.st_mode);
}

struct Protocol {
    const Driver* driver;
    std::string path;
};
Result<Protocol> protocol_of(const std::string& name) {
    if (name.starts_with("file:")) return Protocol{&file_driver, name.substr(5)};
    if (has_protocol(name)) {
        std::string_view prefix = std::string_view(name).substr(0, name.find(':'));
        for (auto* d : all_drivers)
            if (std::ranges::find(d->schemes, prefix) != d->schemes.end()) return Protocol{d, name};
        std::string known = "file";
        for (auto* d : all_drivers)
            for (auto scheme : d->schemes) known += ", " + std::string(scheme);
        return Error::not_found("Could not open '{}': Unknown protocol '{}', expected {}", name, prefix, known);
    }
    return Protocol{is_block_device(name) ? &host_device_driver : &file_driver, name};
}

Task<Result<NodePtr>> open_protocol_tree(Context& context, Json options, NodeOptions common) {
    if (options.string()) {
        auto at = context.names.find(*options.string());
        if (at == context.names.end())
            co_return Error::not_found("Cannot find device='{0}' nor node-name='{0}'", *options.string());
        co_return at->second->shared_from_this();
    }
    CO_CHECK(take_common(context, options, common));
    const Driver* driver = nullptr;
    Json driver_name = options.take("driver");
    if (auto* name = driver_name.string()) {
        driver = find_driver(*name);
        if (!driver) co_return Error::not_found("Unknown driver '{}', expected {}", *name, driver_names(false));
    } else if (const Json* filename = options.find("filename"); filename && filename->string()) {
        CO_TRY(Protocol p, protocol_of(*filename->string()));
        driver = p.driver;
        options.set("filename", p.path);
    } else {
        std::string given;
        for (auto& [key, value] : *options.members()) given += fmt::format("{}'{}'", given.empty() ? "" : ", ", key);
        co_return Error::invalid_argument("Must specify either filename or driver of a block device, but got {}",
                                          given.empty() ? "nothing" : given);
    }
    OpenArguments arguments{.common = std::move(common), .options = std::move(options)};
    if (!driver->is_protocol) {
        // A filter below a format.
        Json below = arguments.options.take(driver == &blkdebug_driver ? "image" : "file");
        if (below.is_null()) co_return Error::invalid_argument("driver '{}' needs the option 'file'", driver->name);
        NodeOptions inner = arguments.common;
        inner.node_name.clear();
        CO_TRY(arguments.file, co_await open_protocol_tree(context, std::move(below), std::move(inner)));
    }
    co_return co_await driver->open(context, arguments);
}

// Reads what probing looks at.
Task<Result<const Driver*>> probe_node(Node& file) {
    std::vector<u8> head(std::min<u64>(probe_size, file.size()));
    IoVec memory{std::span<u8>(head)};
    CO_CHECK(co_await file.read(0, memory));
    co_return &probe_format(head);
}

std::string described(const OpenRequest& r) {
    if (!r.filename.empty()) return r.filename;
    if (const Json* file = r.options.find("file")) {
        if (file->string()) return *file->string();
        if (const Json* name = file->find("filename"); name && name->string()) return *name->string();
    }
    return "json:" + r.options.dump();
}

// The name that a user would give for what the options say: the path alone if they say no more.
std::string name_of(const OpenRequest& request, const Json& given, const Node& node) {
    // One name, whatever way it was told.
    if (node.file() && &node.file()->driver() == &nbd_driver && &node.driver() == &raw_driver)
        return node.file()->filename();
    bool json = request.filename.starts_with("json:");
    if (!request.filename.empty() && !json) return request.filename;
    const Json* file = given.find("file");
    auto only = [](const Json& tree, std::string_view name) {
        return tree.members()->size() == 1 + size_t(tree.find("driver") != nullptr) && tree.find(name);
    };
    bool plain = file && file->members() && only(*file, "filename") && only(given, "file");
    if (plain && node.file()) return node.file()->filename();
    if (json) return request.filename;
    if (node.file() && !node.file()->filename().empty()) return node.file()->filename();
    return "json:" + given.dump();
}

Task<Result<NodePtr>> open_tree(Context& context, OpenRequest& request) {
    Json options = request.options.is_null() ? Json::object() : request.options;
    if (!request.filename.empty()) CO_CHECK(apply_filename(request.filename, options));
    // `filename=x` at the top is the file's.
    if (Json top = options.take("filename"); top.string() && !options.find("file")) {
        std::string name = *top.string();
        CO_CHECK(apply_filename(name, options));
    }
    Json given = options;
    NodeOptions common;
    CO_TRY(CacheMode cache, parse_cache(request.cache));
    common.read_only = !request.writable;
    common.force_share = request.force_share;
    common.cache_direct = cache.direct;
    common.cache_no_flush = cache.no_flush;
    common.discard = request.discard;
    CO_CHECK(take_common(context, options, common));

    const Driver* driver = nullptr;
    std::string format = request.format;
    if (Json named = options.take("driver"); named.string()) {
        if (!format.empty() && format != *named.string())
            co_return Error::invalid_argument("Cannot specify both 'driver={}' and format '{}'", *named.string(),
                                              format);
        format = *named.string();
    }
    if (!format.empty()) {
        driver = find_driver(format);
        if (!driver) co_return Error::not_found("Unknown driver '{}', expected {}", format, driver_names(false));
    }
    if (driver && driver->is_protocol) {
        // A protocol as the top: its options may stand beside or in "file".
        if (Json inner = options.take("file"); inner.members())
            for (auto& [name, value] : *inner.members()) options.set(name, std::move(value));
        OpenArguments arguments{.common = std::move(common), .options = std::move(options)};
        if (const Json* name = arguments.options.find("filename"); name && name->string()) {
            CO_TRY(Protocol p, protocol_of(*name->string()));
            arguments.options.set("filename", p.path);
        }
        co_return co_await driver->open(context, arguments);
    }

    std::string_view below = driver == &blkdebug_driver ? "image" : "file";
    Json file_options = options.take(below);
    if (file_options.is_null() && below == "image") file_options = options.take("file");
    if (file_options.is_null()) co_return Error::invalid_argument("A block device must be specified for \"file\"");
    NodeOptions inner = common;
    inner.node_name.clear();
    inner.discard = DiscardMode::unmap; // what reaches the file has been decided above
    inner.detect_zeroes = DetectZeroes::off;
    OpenArguments arguments{.common = std::move(common), .options = std::move(options)};
    CO_TRY(arguments.file, co_await open_protocol_tree(context, std::move(file_options), std::move(inner)));
    if (arguments.file->read_only()) arguments.common.read_only = true;
    if (!driver) {
        CO_TRY(driver, co_await probe_node(*arguments.file));
        arguments.probed = true;
    }
    arguments.no_backing = request.no_backing;
    arguments.writable_chain = request.writable_chain;
    arguments.no_io = request.no_io;
    arguments.repair = request.repair;
    arguments.cache = request.cache;
    arguments.depth = request.depth;
    arguments.guessed_above = request.guessed_above;
    NodePtr file = arguments.file;
    Result<NodePtr> node = co_await driver->open(context, arguments);
    if (!node) {
        // Whatever attached it is gone by now; close what was opened here.
        if (file->parents().empty()) {
            Result<void> closed = co_await file->close();
            std::move(closed).ignore();
        }
        co_return std::move(node).error();
    }
    (*node)->set_filename(name_of(request, given, **node));
    co_return std::move(node);
}

} // namespace

std::span<const Driver* const> drivers() { return all_drivers; }

const Driver* find_driver(std::string_view name) {
    for (auto* d : all_drivers)
        if (d->name == name) return d;
    return nullptr;
}

std::string driver_names(bool creating) {
    std::string all;
    for (auto* d : all_drivers)
        if (!creating || (d->create && !d->is_protocol)) all += (all.empty() ? "" : ", ") + std::string(d->name);
    return all;
}

const Driver& probe_format(std::span<const u8> head) {
    const Driver* best = &raw_driver;
    int score = 1;
    for (auto* d : all_drivers)
        if (int s = d->probe ? d->probe(head) : 0; s > score) {
            best = d;
            score = s;
        }
    return *best;
}

bool has_protocol(std::string_view name) {
    size_t colon = name.find(':');
    return colon != std::string_view::npos && colon > 0 && name.find('/') > colon;
}

std::string combine_path(const std::string& base, const std::string& name) {
    if (name.empty() || name[0] == '/' || has_protocol(name)) return name;
    std::string_view root = base;
    if (root.starts_with("json:")) return name;
    size_t slash = root.rfind('/');
    if (slash == std::string_view::npos) {
        // "file:a.img": the prefix stays.
        if (has_protocol(root)) return std::string(root.substr(0, root.find(':') + 1)) + name;
        return name;
    }
    return std::string(root.substr(0, slash + 1)) + name;
}

Result<CacheMode> parse_cache(std::string_view name) {
    if (name == "none" || name == "off") return CacheMode{.direct = true};
    if (name == "writeback") return CacheMode{};
    if (name == "writethrough") return CacheMode{.write_through = true};
    if (name == "directsync") return CacheMode{.direct = true, .write_through = true};
    if (name == "unsafe") return CacheMode{.no_flush = true};
    return Error::invalid_argument(
        "Invalid cache option: '{}', expected none, writeback, writethrough, directsync or unsafe", name);
}

Task<Result<NodePtr>> open_node(Context& context, OpenRequest request) {
    if (request.depth > deepest_chain)
        co_return Error::invalid_argument("Could not open '{}': the backing chain is longer than {} images",
                                          described(request), deepest_chain);
    Result<NodePtr> node = co_await open_tree(context, request);
    if (node) co_return std::move(node);
    // The name once, in front.
    std::string prefix = fmt::format("Could not open '{}'", described(request));
    if (node.error().message().starts_with(prefix + ":")) co_return std::move(node).error();
    co_return std::move(node).error().in(prefix);
}

Task<Result<NodePtr>> open_protocol(Context& context, const std::string& filename, NodeOptions common, Json options) {
    if (filename.starts_with("json:")) {
        CO_TRY(Json parsed, Json::parse(std::string_view(filename).substr(5)));
        CO_TRY(Json tree, nest(std::move(parsed)));
        co_return co_await open_protocol_tree(context, std::move(tree), std::move(common));
    }
    options.set("filename", filename);
    co_return co_await open_protocol_tree(context, std::move(options), std::move(common));
}

Task<Result<void>> create_protocol(Context& context, const std::string& filename, u64 size, Prealloc prealloc) {
    CO_TRY(Protocol p, protocol_of(filename));
    CreateArguments arguments{p.path, Json::object()};
    arguments.options.set("size", size);
    arguments.options.set("preallocation", std::string(prealloc_names[size_t(prealloc)]));
    co_return co_await p.driver->create(context, arguments);
}

} // namespace mimic::block
