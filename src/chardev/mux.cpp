// One back end for several front ends: all write, one has the keyboard; an escape key moves it.
#include "chardev/open.hpp"
#include <algorithm>
#include <deque>

namespace mimic::chardev {

namespace {

constexpr u32 max_waiting = 256;

// "C-a", as the keyboard has it.
std::string key_name(u8 c) {
    if (c < 32) return fmt::format("C-{}", char(c < 27 ? 'a' + c - 1 : '@' + c));
    return c < 127 ? std::string(1, char(c)) : fmt::format("{:#x}", c);
}

class Port;

class Mux final : public FrontEnd {
public:
    Mux(OpenContext& context, std::unique_ptr<Chardev> back)
        : quit_(context.quit)
        , escape_(context.escape)
        , back_(std::move(back)) {
        back_->attach(this);
    }
    ~Mux() override { back_->attach(nullptr); }

    u32 room() override { return max_waiting - u32(waiting_.size()); }
    void receive(std::span<const u8> bytes) override;
    void event(Event e) override;
    void writable() override;
    void deliver();
    void say(std::string_view text) { back_->write({reinterpret_cast<const u8*>(text.data()), text.size()}); }

    std::vector<Port*> ports_;
    std::function<void()> quit_;
    u8 escape_;
    std::unique_ptr<Chardev> back_;

private:
    void command(u8 c);
    Port* focus() { return focus_ < ports_.size() ? ports_[focus_] : nullptr; }
    size_t focus_ = 0;
    bool escaped_ = false;
    std::deque<u8> waiting_;
};

class Port final : public Chardev {
public:
    Port(std::string id, std::shared_ptr<Mux> mux) : Chardev(std::move(id)), mux_(std::move(mux)) {
        mux_->ports_.push_back(this);
    }
    ~Port() override { std::erase(mux_->ports_, this); }
    std::string filename() const override { return "mux"; }
    u32 write(std::span<const u8> bytes) override { return mux_->back_->write(bytes); }
    void accept_input() override { mux_->back_->accept_input(); }
    void flush() override { mux_->back_->flush(); }
    void drain() override { mux_->back_->drain(); }
    bool is_open() const override { return mux_->back_->is_open(); }
    void attach(FrontEnd* front) override {
        Chardev::attach(front);
        if (front) mux_->back_->accept_input();
    }
    FrontEnd* front_end() const { return front(); }
    const std::shared_ptr<Mux>& mux() const { return mux_; }

private:
    std::shared_ptr<Mux> mux_;
};

void Mux::receive(std::span<const u8> bytes) {
    for (u8 c : bytes) {
        if (escaped_) {
            escaped_ = false;
            deliver(); // what was typed before is the old focus's
            command(c);
        } else if (c == escape_) {
            escaped_ = true;
        } else {
            waiting_.push_back(c);
        }
    }
    deliver();
}

void Mux::command(u8 c) {
    if (c == escape_) return waiting_.push_back(c);
    const std::string key = key_name(escape_);
    switch (c) {
    case 'x':
        say(fmt::format("\r\nmimic: terminated by {} x\r\n", key));
        if (quit_) quit_();
        break;
    case 'b':
        if (Port* p = focus(); p && p->front_end()) p->front_end()->event(Event::break_signal);
        break;
    case 'c':
        if (ports_.size() < 2) break;
        if (Port* p = focus(); p && p->front_end()) p->front_end()->event(Event::mux_out);
        focus_ = (focus_ + 1) % ports_.size();
        waiting_.clear();
        if (Port* p = focus(); p && p->front_end()) p->front_end()->event(Event::mux_in);
        break;
    case '?':
    case 'h':
        say(fmt::format("\r\n{0} h    print this help\r\n{0} x    exit emulator\r\n{0} b    send break\r\n"
                        "{0} c    switch between console and monitor\r\n{0} {0}  sends {0}\r\n",
                        key));
        break;
    default: break;
    }
}

void Mux::deliver() {
    Port* p = focus();
    if (!p || !p->front_end()) {
        waiting_.clear();
        return;
    }
    u32 n = std::min(p->front_end()->room(), u32(waiting_.size()));
    if (n == 0) return;
    std::vector<u8> bytes(waiting_.begin(), waiting_.begin() + n);
    waiting_.erase(waiting_.begin(), waiting_.begin() + n);
    p->front_end()->receive(bytes);
}

void Mux::event(Event e) {
    for (Port* p : ports_)
        if (p->front_end()) p->front_end()->event(e);
}
void Mux::writable() {
    for (Port* p : ports_)
        if (p->front_end()) p->front_end()->writable();
}

} // namespace

std::unique_ptr<Chardev> mux_over(OpenContext& context, std::unique_ptr<Chardev> back, const std::string& id) {
    return std::make_unique<Port>(id, std::make_shared<Mux>(context, std::move(back)));
}

Result<std::unique_ptr<Chardev>> mux_port(Chardev& mux, std::string id) {
    auto* port = dynamic_cast<Port*>(&mux);
    if (!port) return Error::invalid_argument("chardev '{}' has one front end, expected mux=on", mux.id());
    return std::unique_ptr<Chardev>(std::make_unique<Port>(std::move(id), port->mux()));
}

} // namespace mimic::chardev
