// JsonStream: cuts a stream of bytes into JSON texts, of which each is an object or an array. What is no JSON is an error for
// the sink, and the stream goes on at the next line.
//
// As the reference does, strings may stand in single quotes (people type them); what comes out has double ones.
#pragma once
#include "base/result.hpp"
#include <functional>
#include <span>
#include <string>

namespace mimic::qmp {

class JsonStream {
public:
    static constexpr size_t max_bytes = 16 << 20; // of one text
    static constexpr size_t max_depth = 128;
    // Gets each text, or what was wrong.
    using Sink = std::function<void(Result<std::string>)>;

    void feed(std::span<const u8> bytes, const Sink& sink);
    void reset();

private:
    void take(char c, const Sink& sink);
    void take_outside(char c, const Sink& sink);
    void take_in_string(char c, const Sink& sink);
    void fail(std::string_view what, const Sink& sink);
    std::string text_, closers_;
    char quote_ = 0;
    bool escaped_ = false, skipping_ = false;
};

} // namespace mimic::qmp
