#include "net/net.hpp"
#include "base/nearest.hpp"
#include "net/backends/backends.hpp"

namespace mimic::net {

BackEnd::~BackEnd() { *alive_ = false; }

void BackEnd::attach(FrontEnd* front) {
    front_ = front;
    in_.clear();
    in_waits_ = false;
    taken();
}

void BackEnd::forget() {
    std::lock_guard lock(mutex_);
    out_.clear();
    going_out_.clear();
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
    if (!link_up_) return true; // lost
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
    if (std::exchange(flushing_, true)) return;
    bool was_full = false;
    while (paced() || can_transmit()) {
        if (going_out_.empty()) {
            std::lock_guard lock(mutex_);
            going_out_.swap(out_);
            was_full |= std::exchange(full_, false);
        }
        if (going_out_.empty()) break;
        Frame frame = std::move(going_out_.front());
        going_out_.pop_front();
        if (link_up_) transmit(frame);
    }
    transmitted();
    flushing_ = false;
    if (was_full && front_) front_->writable();
}

void BackEnd::transmit_more() {
    if (!paced()) flush_out();
}

void BackEnd::deliver(std::span<const u8> frame) {
    if (!front_ || !link_up_) return;
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
    if (in_.empty()) taken();
}

void BackEnd::set_link(bool up, bool tell) {
    if (link_up_.exchange(up) == up) return;
    if (!up) forget();
    taken();
    if (tell && front_) front_->link_changed(up);
}

// ---- opening ----------------------------------------------------------------------------------------------------------

namespace {
struct Kind {
    std::string_view name;
    Opener* open;
};
constexpr Kind kinds[] = {{"dgram", open_dgram},   {"hubport", open_hubport}, {"socket", open_socket},
                          {"stream", open_stream}, {"tap", open_tap},         {"user", open_user}};
} // namespace

std::string help() {
    std::string s = "Available netdev backend types:\n";
    for (const Kind& k : kinds) s += fmt::format("{}\n", k.name);
    return s;
}

Result<std::unique_ptr<BackEnd>> open(Context& context, std::string_view text) {
    return open(context, TRY(parse(text)));
}

Result<std::unique_ptr<BackEnd>> open(Context& context, Options options) {
    std::string id = options.take("id");
    if (id.empty()) return Error::invalid_argument("netdev '{}': option 'id' is missing", options.kind);
    for (const Kind& k : kinds)
        if (k.name == options.kind) return k.open(context, id, options).in("netdev '{}'", id);
    std::vector<std::string_view> names;
    for (const Kind& k : kinds) names.push_back(k.name);
    return Error::not_found("netdev '{}': there is no kind '{}'{}", id, options.kind,
                            did_you_mean(options.kind, names));
}

} // namespace mimic::net
