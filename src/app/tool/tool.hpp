// What the image tools (`mimic img`, `nbd`, `io`) share: arguments, messages, opening images.
#pragma once
#include "app/tool/name.hpp"
#include "block/driver.hpp"
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mimic::tool {

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

// Long options without a letter that all tools know; those of one tool begin at opt_own.
enum : char { opt_object = 1, opt_image_opts, opt_output, opt_own };

// Progress on standard output, for -p: "    (12.34/100%)" and on a terminal the rate and the time left. Without -p a line on
// standard error each time that SIGUSR1 has come (answer_signals()).
class Progress {
public:
    explicit Progress(bool on) : on_(on) {}
    // From now on SIGUSR1 asks for that line instead of ending the program.
    static void answer_signals();
    ~Progress();
    void set(u64 done, u64 total);

private:
    bool on_, shown_ = false;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now(), last_{};
};

// Goes on as the program that has modules (base/module.hpp) if the words say that one will be needed, or `certain`: before
// anything is read that cannot be read again, as `--object secret,file=/dev/fd/3`. Words that don't say so are handed over when a
// module is met.
void hand_over_early(std::span<const std::string_view> args, bool certain = false);

class Tool {
public:
    // name: of the tool ("img").
    Tool(io::Loop& loop, std::string_view name, std::span<const std::string_view> args);

    io::Loop& loop;
    Context context;
    std::string program; // its name in messages
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
        bool temporary = false;    // what is written goes to a file that is gone with the program
        bool copy_on_read = false; // what is read from backing images is kept in the image
        bool may_share = true;     // -U is for this image, too; false: it is the output
        block::DiscardMode discard = block::DiscardMode::ignore;
        Json extra = Json::object(); // options beside the file's name
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
    // A new qcow2 file over the image, in TMPDIR; its path, or empty after a message. Who opens it unlinks it.
    Task<std::string> make_overlay(const std::string& name, const Open& how);
    // Writes everything back; false after a message.
    Task<bool> close(Image& image);

    bool add_object(const std::string& text);

private:
    Task<Image> open_temporary(const std::string& name, const Open& how);
};

// Sizes of the command line; prints the error and gives nothing.
std::optional<u64> size_argument(const Tool& tool, std::string_view what, const std::string& text);
// A snapshot's name as -l takes it: "snapshot.id=...,snapshot.name=..." or the id or name alone.
Task<bool> load_snapshot(const Tool& tool, Node& node, const std::string& param);
} // namespace mimic::tool
