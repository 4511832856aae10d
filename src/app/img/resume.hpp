// `convert --resume FILE`: how far a conversion came is kept in FILE, so that the same command goes on from there after an
// interruption of any kind. What FILE says is on stable storage has been flushed there before FILE says so.
#pragma once
#include "app/img/commands.hpp"
#include "base/json.hpp"
#include <span>
#include <string>

namespace mimic::img {

class Resume {
public:
    // `settings`: all that shapes the output, as the user gave it. Of the sources every file counts, also of their backing
    // images: its name, its size and when it was last changed.
    Resume(std::string file, std::string target, std::string settings, std::span<const block::Node* const> sources);

    // Where to go on; 0: from the begin, there is no such file. Errors: it is of another conversion, or is none of ours.
    Result<u64> load();
    // The output, once it is open. Errors: it is not made of the files that it was made of when load() found something; what
    // is written there is not flushed.
    Result<void> set_target(const block::Node& target);
    // All before `position` is done. Errors: the file can't be written; then what it said still holds.
    Result<void> store(u64 position) const;
    // The conversion is done.
    void remove() const;

private:
    std::string file_;
    Json what_, target_files_;
};

// What stopped may have left clusters that no table names: they are free again. False after a message.
Task<bool> free_leaks(Tool& tool, Tool::Image& target);

} // namespace mimic::img
