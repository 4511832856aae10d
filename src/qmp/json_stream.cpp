#include "qmp/json_stream.hpp"

namespace mimic::qmp {

void JsonStream::reset() {
    std::string().swap(text_);
    closers_.clear();
    quote_ = 0;
    escaped_ = skipping_ = false;
}

void JsonStream::fail(std::string_view what, const Sink& sink) {
    reset();
    skipping_ = true;
    sink(Error::invalid_argument("JSON parse error, {}", what));
}

void JsonStream::feed(std::span<const u8> bytes, const Sink& sink) {
    for (u8 b : bytes) {
        if (b == 0xff) { // no byte of UTF-8: clients send it to begin anew
            bool inside = !closers_.empty();
            reset();
            if (inside) sink(Error::invalid_argument("JSON parse error, the text was given up"));
            continue;
        }
        if (skipping_) {
            skipping_ = b != '\n';
            continue;
        }
        if (b == '\n' && quote_) {
            reset(); // the next line begins here
            sink(Error::invalid_argument("JSON parse error, a string does not end in its line"));
            continue;
        }
        if (text_.size() >= max_bytes) {
            fail(fmt::format("the text is longer than {} bytes", max_bytes), sink);
            continue;
        }
        take(char(b), sink);
    }
}

void JsonStream::take(char c, const Sink& sink) {
    if (quote_)
        take_in_string(c, sink);
    else
        take_outside(c, sink);
}

void JsonStream::take_in_string(char c, const Sink&) {
    if (escaped_) {
        escaped_ = false;
        if (c != '\'') text_ += '\\'; // \' is no escape of JSON
        text_ += c;
    } else if (c == '\\') {
        escaped_ = true;
    } else if (c == quote_) {
        quote_ = 0;
        text_ += '"';
    } else {
        if (c == '"') text_ += '\\';
        text_ += c;
    }
}

void JsonStream::take_outside(char c, const Sink& sink) {
    bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (closers_.empty() && c != '{' && c != '[') {
        if (!space) fail("expected '{'", sink);
        return;
    }
    switch (c) {
    case '{':
    case '[':
        if (closers_.size() >= max_depth) return fail(fmt::format("nested deeper than {} levels", max_depth), sink);
        closers_ += c == '{' ? '}' : ']';
        break;
    case '}':
    case ']':
        if (closers_.back() != c) return fail(fmt::format("expected '{}', not '{}'", closers_.back(), c), sink);
        closers_.pop_back();
        break;
    case '\'':
    case '"':
        quote_ = c;
        c = '"';
        break;
    default: break;
    }
    text_ += c;
    if (!closers_.empty()) return;
    std::string text;
    text.swap(text_);
    sink(std::move(text));
}

} // namespace mimic::qmp
