// Driver: what there is of each format and protocol. Context: what opening needs beside options.
#pragma once
#include "base/io/file.hpp"
#include "block/node.hpp"
#include "block/options.hpp"
#include "block/throttle.hpp"
#include "crypto/authz.hpp"
#include "crypto/tls.hpp"
#include <functional>
#include <map>
#include <span>

namespace mimic::block {

struct Context {
    io::Loop& loop;
    // `--object secret` and its like: id to bytes.
    std::map<std::string, std::string> secrets;
    // `--object tls-creds-x509` and its like.
    std::map<std::string, std::shared_ptr<tls::Credentials>> credentials;
    // `--object authz-list` and its like.
    std::map<std::string, std::shared_ptr<tls::Authorization>> authorizations;
    // `--object throttle-group`.
    std::map<std::string, std::shared_ptr<ThrottleGroup>> throttle_groups;
    // Those that only disks name.
    std::map<std::string, std::weak_ptr<ThrottleGroup>> implicit_groups;
    // Warnings for the user; a line without its end.
    std::function<void(const std::string&)> warn = [](const std::string&) {};
    // Where a driver may give hints of its progress: done and total of a phase.
    std::function<void(u64, u64)> progress = [](u64, u64) {};
    // A write passed a node's threshold by so many bytes.
    std::function<void(const Node&, u64 exceeded, u64 threshold)> on_threshold = [](const Node&, u64, u64) {};
    // Open nodes by node-name.
    std::map<std::string, Node*, std::less<>> names;
    unsigned next_name = 0;
    // Held while the graph is changed (graph.hpp).
    io::Mutex graph{loop};
};

struct OpenArguments {
    NodeOptions common;
    Json options; // the driver's own; it takes all or complains
    NodePtr file; // formats and filters: the layer below
    bool no_backing = false;
    bool writable_chain = false;     // backing nodes are opened for writing too (commit)
    bool no_io = false;              // only look: don't repair, don't mark
    bool probed = false;             // the format was guessed, not named
    bool guessed_above = false;      // an image whose format was guessed names this one
    bool repair = false;             // corrupt images may be opened for writing
    unsigned depth = 0;              // length of the chain above
    std::string cache = "writeback"; // for backing nodes
};

struct CreateArguments {
    std::string filename; // may have a protocol in front
    Json options;
    NodePtr file; // of formats: the open file to use, or null for the one that is called filename
};

struct Driver {
    std::string_view name;
    bool is_protocol = false;
    bool is_filter = false;
    bool supports_backing = false;
    // Of protocols: what stands before the first colon of file names that are the driver's; it gets the whole name.
    std::span<const std::string_view> schemes = {};
    // 0 to 100: how sure the first bytes (up to 2048) make it.
    int (*probe)(std::span<const u8> head) = nullptr;
    Task<Result<NodePtr>> (*open)(Context&, OpenArguments&) = nullptr;
    Task<Result<void>> (*create)(Context&, CreateArguments&) = nullptr;
    // Describes a default set of create or amend options, for help.
    void (*describe_create)(OptionVisitor&) = nullptr;
    void (*describe_amend)(OptionVisitor&) = nullptr;
    // The options as they will be used, " name=value"...
    Result<std::string> (*print_create)(Json options) = nullptr;
    // source null: an empty image of `size`.
    Task<Result<Measurement>> (*measure)(Context&, Json options, Node* source, u64 size) = nullptr;
};

// Declares a driver, at the begin of a line: MIMIC_BLOCK_DRIVER(name) = {.name = "name", ...}; it joins drivers().
#define MIMIC_BLOCK_DRIVER(ident)                                                                                      \
    extern const Driver ident##_driver;                                                                                \
    constinit const Driver ident##_driver

// All drivers, sorted by name.
std::span<const Driver* const> drivers();
const Driver* find_driver(std::string_view name);
// "raw, qcow2, ...", for messages: those that can create images, or all.
std::string driver_names(bool creating);

struct OpenRequest {
    // A filename (with its prefixes), or empty if options say everything.
    std::string filename;
    // A tree; may hold "driver".
    Json options;
    // The format, or empty to probe.
    std::string format;
    bool writable = false;
    bool no_backing = false;
    bool writable_chain = false;
    bool force_share = false;
    bool guessed_above = false;
    bool no_io = false;
    bool repair = false;
    // none, writeback, writethrough, directsync, unsafe; writethrough is the root's business.
    std::string cache = "writeback";
    DiscardMode discard = DiscardMode::ignore;
    unsigned depth = 0;
};

// Opens a node with all below it. Errors name the file.
Task<Result<NodePtr>> open_node(Context& context, OpenRequest request);
// Only the protocol layer of a filename.
Task<Result<NodePtr>> open_protocol(Context& context, const std::string& filename, NodeOptions common,
                                    Json options = Json::object());
// Makes an empty file (or checks a device) for a format's creation; an existing file is emptied.
Task<Result<void>> create_protocol(Context& context, const std::string& filename, u64 size, Prealloc prealloc);

// The best driver for the bytes; raw if none knows them.
const Driver& probe_format(std::span<const u8> head);
// `name` as seen from the image `base`: relative paths start in its directory.
std::string combine_path(const std::string& base, const std::string& name);
// True if the name has a protocol in front ("nbd:..."), which a slash before the colon prevents.
bool has_protocol(std::string_view name);
// Flags of a cache mode. Errors: not a mode.
struct CacheMode {
    bool direct = false, no_flush = false, write_through = false;
};
Result<CacheMode> parse_cache(std::string_view name);

// Those that others than users name.
extern const Driver file_driver, host_device_driver, memory_driver, null_driver, raw_driver, qcow2_driver,
    blkdebug_driver, nbd_driver;

} // namespace mimic::block
