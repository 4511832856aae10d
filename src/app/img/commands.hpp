// The commands of `mimic img` and what they share.
#pragma once
#include "app/tool/tool.hpp"

namespace mimic::img {

using block::Context;
using block::Node;
using block::NodePtr;
using block::round_down;
using io::Buffer;
using io::IoVec;
using io::Task;
using tool::Arguments;
using tool::load_snapshot;
using tool::opt_image_opts;
using tool::opt_object;
using tool::opt_output;
using tool::Progress;
using tool::size_argument;
using tool::Tool;

// Letters of long options that have none of their own.
enum : char {
    opt_backing_chain = tool::opt_own,
    opt_force,
    opt_target_image_opts,
    opt_size,
    opt_preallocation,
    opt_shrink,
    opt_salvage,
    opt_target_is_zero,
    opt_bitmaps,
    opt_skip_broken,
    opt_resume,
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
