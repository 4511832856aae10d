#include "net/net.hpp"
#include "base/nearest.hpp"
#include "net/user.hpp"
#include <algorithm>

namespace mimic::net {

BackEnd::~BackEnd() { *alive_ = false; }

void BackEnd::attach(FrontEnd* front) {
    front_ = front;
    in_.clear();
    in_waits_ = false;
}

void BackEnd::forget() {
    std::lock_guard lock(mutex_);
    out_.clear();
    in_.clear();
    in_waits_ = false;
}

void BackEnd::call(void (BackEnd::*f)()) {
    auto call = [this, alive = alive_, f] {
        if (*alive) (this->*f)();
    };
    caller_ ? caller_(call) : loop_.call(call);
}

bool BackEnd::send(Frame&& frame) {
    bool first = false;
    {
        std::lock_guard lock(mutex_);
        if (out_.size() >= max_waiting) {
            full_ = true;
            return false;
        }
        first = out_.empty();
        out_.push_back(std::move(frame));
    }
    if (first) call(&BackEnd::flush_out);
    return true;
}

bool BackEnd::has_room() {
    std::lock_guard lock(mutex_);
    if (out_.size() < max_waiting) return true;
    full_ = true;
    return false;
}

void BackEnd::flush_out() {
    std::deque<Frame> frames;
    bool was_full = false;
    {
        std::lock_guard lock(mutex_);
        frames.swap(out_);
        std::swap(was_full, full_);
    }
    for (const Frame& f : frames) transmit(f);
    transmitted();
    if (was_full && front_) front_->writable();
}

void BackEnd::deliver(std::span<const u8> frame) {
    if (!front_) return;
    if (in_.empty() && front_->receive(frame)) return;
    if (in_.size() >= max_waiting) {
        dropped_++;
        return;
    }
    in_.emplace_back(frame.begin(), frame.end());
    in_waits_ = true;
}

void BackEnd::accept_input() {
    if (in_waits_) call(&BackEnd::flush_in);
}

void BackEnd::flush_in() {
    while (!in_.empty() && front_ && front_->receive(in_.front())) in_.pop_front();
    in_waits_ = !in_.empty();
}

// ---- options ----------------------------------------------------------------------------------------------------------

std::string Options::take(std::string_view name, std::string_view otherwise) {
    auto all = take_all(name);
    return all.empty() ? std::string(otherwise) : all.back();
}

std::vector<std::string> Options::take_all(std::string_view name) {
    std::vector<std::string> found;
    for (auto& [n, v] : values)
        if (n == name) found.push_back(v);
    std::erase_if(values, [&](const auto& p) { return p.first == name; });
    return found;
}

Result<Options> parse(std::string_view text) {
    std::vector<std::string> parts(1);
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] != ',')
            parts.back() += text[i];
        else if (i + 1 < text.size() && text[i + 1] == ',')
            parts.back() += text[i++];
        else
            parts.emplace_back();
    }
    Options o;
    for (size_t i = 0; i < parts.size(); i++) {
        size_t equals = parts[i].find('=');
        if (i == 0 && equals == std::string::npos)
            o.kind = parts[i];
        else if (equals == std::string::npos || equals == 0)
            return Error::invalid_argument("netdev '{}': '{}', expected name=value", text, parts[i]);
        else if (parts[i].substr(0, equals) == "type")
            o.kind = parts[i].substr(equals + 1);
        else
            o.values.emplace_back(parts[i].substr(0, equals), parts[i].substr(equals + 1));
    }
    if (o.kind.empty()) return Error::invalid_argument("netdev '{}': it begins with its kind, as in user,id=n0", text);
    return o;
}

namespace {
struct Kind {
    std::string_view name;
    Result<std::unique_ptr<BackEnd>> (*open)(io::Loop&, std::string id, Options);
};
constexpr Kind kinds[] = {{"user", open_user}};
} // namespace

std::string help() {
    std::string s = "Available netdev backend types:\n";
    for (const Kind& k : kinds) s += fmt::format("{}\n", k.name);
    return s;
}

Result<std::unique_ptr<BackEnd>> open(io::Loop& loop, std::string_view text) { return open(loop, TRY(parse(text))); }

Result<std::unique_ptr<BackEnd>> open(io::Loop& loop, Options options) {
    std::string id = options.take("id");
    if (id.empty()) return Error::invalid_argument("netdev '{}': option 'id' is missing", options.kind);
    for (const Kind& k : kinds)
        if (k.name == options.kind) return k.open(loop, id, std::move(options)).in("netdev '{}'", id);
    std::vector<std::string_view> names;
    for (const Kind& k : kinds) names.push_back(k.name);
    return Error::not_found("netdev '{}': there is no kind '{}'{}", id, options.kind,
                            did_you_mean(options.kind, names));
}

} // namespace mimic::net
