// The telnet protocol: RFC 854 (commands, the network virtual terminal), 855 (options), 856 (binary), 857 (echo), 858 (suppress go
// ahead). The guest echoes and a line is a key at a time, so that is what is offered; every other option is refused. Both
// ends of a connection say the same.
#include "chardev/layers/layer.hpp"
#include <bitset>

namespace mimic::chardev {

namespace {

// RFC 854, "TELNET command structure".
enum Command : u8 {
    SE = 240,
    BRK = 243,
    IP = 244,
    AYT = 246,
    EC = 247,
    EL = 248,
    SB = 250,
    WILL = 251,
    WONT = 252,
    DO = 253,
    DONT = 254,
    IAC = 255,
};
enum Option : u8 { binary = 0, echo = 1, suppress_go_ahead = 3 };

class Telnet final : public Layer {
public:
    void start(Bytes& out) override {
        for (Option o : {echo, suppress_go_ahead, binary}) {
            offered_.set(o);
            say(out, WILL, o);
        }
        asked_.set(binary);
        say(out, DO, binary);
    }
    Result<void> receive(std::span<const u8> bytes, Bytes& in, Bytes& out) override {
        for (u8 b : bytes) take(b, in, out);
        return {};
    }
    void send(std::span<const u8> bytes, Bytes& out) override;
    u32 take_breaks() override { return std::exchange(breaks_, 0); }

private:
    static void say(Bytes& out, u8 command, u8 option) { out.insert(out.end(), {IAC, command, option}); }
    void take(u8 b, Bytes& in, Bytes& out);
    void data(u8 b, Bytes& in);
    void command(u8 b, Bytes& in, Bytes& out);
    void negotiate(u8 option, Bytes& out);

    enum class State : u8 { data, command, option, sub, sub_command } state_ = State::data;
    u8 verb_ = 0;
    std::bitset<256> offered_, ours_; // by us: an answer is due, in force
    std::bitset<256> asked_, theirs_; // of the peer
    bool cr_in_ = false, cr_out_ = false;
    u32 breaks_ = 0;
};

void Telnet::take(u8 b, Bytes& in, Bytes& out) {
    switch (state_) {
    case State::data: b == IAC ? void(state_ = State::command) : data(b, in); break;
    case State::command:
        state_ = State::data;
        command(b, in, out);
        break;
    case State::option:
        state_ = State::data;
        negotiate(b, out);
        break;
    // Parameters of options; ours have none.
    case State::sub:
        if (b == IAC) state_ = State::sub_command;
        break;
    case State::sub_command: state_ = b == SE ? State::data : State::sub; break;
    }
}

// Of a terminal that is not in binary mode, a carriage return alone is CR NUL (RFC 854, "The NVT printer and keyboard").
void Telnet::data(u8 b, Bytes& in) {
    bool skip = cr_in_ && b == 0 && !theirs_[binary];
    cr_in_ = b == '\r';
    if (!skip) in.push_back(b);
}

void Telnet::command(u8 b, Bytes& in, Bytes& out) {
    switch (b) {
    case IAC: data(IAC, in); break;
    case BRK: breaks_++; break;
    // What these keys are on a serial line.
    case IP: in.push_back(3); break;
    case EC: in.push_back(0x7f); break;
    case EL: in.push_back(0x15); break;
    case AYT:
        for (char c : std::string_view("\r\n[Yes]\r\n")) out.push_back(u8(c));
        break;
    case SB: state_ = State::sub; break;
    case WILL:
    case WONT:
    case DO:
    case DONT:
        verb_ = b;
        state_ = State::option;
        break;
    default: break; // the rest asks for nothing here
    }
}

// RFC 855: an answer to what was asked is not answered, and nobody confirms what is in force already.
void Telnet::negotiate(u8 option, Bytes& out) {
    switch (verb_) {
    case DO:
        if (offered_[option])
            ours_.set(option);
        else if (!ours_[option])
            say(out, WONT, option);
        offered_.reset(option);
        break;
    case DONT:
        if (ours_[option]) say(out, WONT, option);
        ours_.reset(option);
        offered_.reset(option);
        break;
    case WILL:
        if (asked_[option])
            theirs_.set(option);
        else if (!theirs_[option])
            say(out, DONT, option);
        asked_.reset(option);
        break;
    default:
        if (theirs_[option]) say(out, DONT, option);
        theirs_.reset(option);
        asked_.reset(option);
        break;
    }
}

void Telnet::send(std::span<const u8> bytes, Bytes& out) {
    for (u8 b : bytes) {
        if (cr_out_ && b != '\n' && !ours_[binary]) out.push_back(0);
        cr_out_ = b == '\r';
        if (b == IAC) out.push_back(IAC);
        out.push_back(b);
    }
}

} // namespace

std::unique_ptr<Layer> make_telnet() { return std::make_unique<Telnet>(); }

} // namespace mimic::chardev
