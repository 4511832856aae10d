// What the commands of `mimic img` share: arguments, messages, opening images.
#pragma once
#include "block/driver.hpp"
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mimic::img {

using block::Context;
using block::Node;
using block::NodePtr;
using block::round_down;
using io::Buffer;
using io::IoVec;
using io::Task;

// Options of a command line, in the manner of getopt_long: -abc, -ofile, -o file, --long, --long=x, --long x, --.
class Arguments {
public:
    struct Long {
        std::string_view name;
        bool has_value;
        char letter; // stands for it in next(); letters above 127 are free
    };
    // letters: as getopt's, "f:q": a colon follows a letter that has a value.
    Arguments(std::span<const std::string_view> args, std::string_view letters, std::span<const Long> longs);

    struct Option {
        char letter;
        std::string value;
    };
    const std::vector<Option>& options() const { return options_; }
    const std::vector<std::string>& names() const { return names_; }
    // What was wrong, or empty.
    const std::string& error() const { return error_; }

private:
    std::vector<Option> options_;
    std::vector<std::string> names_;
    std::string error_;
};

// Letters of long options that have none of their own.
enum : char {
    opt_object = 1,
    opt_image_opts,
    opt_output,
    opt_backing_chain,
    opt_force,
    opt_target_image_opts,
    opt_size,
    opt_preallocation,
    opt_shrink,
    opt_salvage,
    opt_target_is_zero,
    opt_bitmaps,
    opt_skip_broken,
    opt_add,
    opt_remove,
    opt_clear,
    opt_enable,
    opt_disable,
    opt_merge,
    opt_pattern,
    opt_no_drain,
    opt_flush_interval,
    opt_start_offset,
    opt_max_length
};

// Progress on standard output, for -p: "    (12.34/100%)" and on a terminal the rate and the time left.
class Progress {
public:
    explicit Progress(bool on) : on_(on) {}
    ~Progress();
    void set(u64 done, u64 total);

private:
    bool on_, shown_ = false;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now(), last_{};
};

class Tool {
public:
    Tool(io::Loop& loop, std::span<const std::string_view> args);

    io::Loop& loop;
    Context context;
    std::span<const std::string_view> args;

    // Options that many commands have; filled by common().
    bool quiet = false, progress = false, image_opts = false, force_share = false, json = false;
    std::string format, cache = "writeback", source_cache = "writeback";

    void error(const std::string& message) const;
    void print(const std::string& text) const; // not with -q
    void say(const std::string& text) const;

    // Takes the options that mean the same in every command: --object, --image-opts, -U, -q, -p, --output, -f. True if it
    // was one; false in `ok` after an error message.
    bool common(const Arguments::Option& option, bool& ok);
    // "" or a message of parse errors and -h.
    bool parsed(const Arguments& arguments, int& status) const;

    struct Open {
        bool writable = false, no_backing = false, writable_chain = false, no_io = false, repair = false;
        std::string format, cache = "writeback";
        bool image_opts = false;
        block::DiscardMode discard = block::DiscardMode::ignore;
        bool share_write = false;
    };
    // An image for this tool, with a root edge; prints the error.
    struct Image {
        NodePtr node;
        std::unique_ptr<block::Edge> root;
        bool write_through = false;
        Node* operator->() const { return node.get(); }
        Node& operator*() const { return *node; }
        explicit operator bool() const { return bool(node); }
    };
    // `how` is a named object of the caller: an aggregate made in an await would be destroyed twice by g++ 12.
    Task<Image> open(const std::string& name, const Open& how);
    // Writes everything back; false after a message.
    Task<bool> close(Image& image);

    bool add_object(const std::string& text);
};

// Sizes of the command line; prints the error and gives nothing.
std::optional<u64> size_argument(const Tool& tool, std::string_view what, const std::string& text);
// A snapshot's name as -l takes it: "snapshot.id=...,snapshot.name=..." or the id or name alone.
Task<bool> load_snapshot(const Tool& tool, Node& node, const std::string& param);
// The -o lists together as a flat option tree; "help" among them sets `help`.
Result<Json> creation_options(const std::vector<std::string>& lists, bool& help);

struct CreateRequest {
    std::string filename, format;
    Json options; // as given with -o
    std::optional<u64> size;
    std::string backing_file, backing_format;
    bool unsafe_backing = false; // don't open the backing file
    bool quiet = false;
};
// Creates an image as `create` does, with its "Formatting" line; prints errors.
Task<bool> create_image(Tool& tool, CreateRequest request);
std::string create_help(const block::Driver& driver, bool amend);

// The table of `snapshot -l`; empty without snapshots.
std::string snapshot_table(const std::vector<block::SnapshotInfo>& list);

// Commands: each takes the words after its name and gives the exit status.
Task<int> cmd_amend(Tool& tool);
Task<int> cmd_bench(Tool& tool);
Task<int> cmd_bitmap(Tool& tool);
Task<int> cmd_check(Tool& tool);
Task<int> cmd_commit(Tool& tool);
Task<int> cmd_compare(Tool& tool);
Task<int> cmd_convert(Tool& tool);
Task<int> cmd_create(Tool& tool);
Task<int> cmd_dd(Tool& tool);
Task<int> cmd_info(Tool& tool);
Task<int> cmd_map(Tool& tool);
Task<int> cmd_measure(Tool& tool);
Task<int> cmd_rebase(Tool& tool);
Task<int> cmd_resize(Tool& tool);
Task<int> cmd_snapshot(Tool& tool);

} // namespace mimic::img
