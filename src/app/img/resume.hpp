// `convert --resume FILE`: how far a conversion came is kept in FILE, so that the same command goes on from there after an
// interruption of any kind. What FILE says is on stable storage has been flushed there before FILE says so.
#pragma once
#include "base/json.hpp"
#include <string>
#include <vector>

namespace mimic::img {

class Resume {
public:
    // What must be the same for a conversion to be the same.
    struct Input {
        std::string name;
        u64 size = 0;
    };
    // `settings`: all that shapes the output, as the user gave it.
    Resume(std::string file, std::string target, std::string settings, const std::vector<Input>& inputs);

    // Where to go on; 0: from the begin, there is no such file. Errors: it is of another conversion, or is none of ours.
    Result<u64> load() const;
    // All before `position` is done. Errors: the file can't be written; then what it said still holds.
    Result<void> store(u64 position) const;
    // The conversion is done.
    void remove() const;

private:
    std::string file_;
    Json what_;
};

} // namespace mimic::img
