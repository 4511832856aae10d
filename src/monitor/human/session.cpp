// A person at a terminal: prompt, line editing, history, completion of names.
#include "monitor/human/human.hpp"
#include <algorithm>
#include <deque>

namespace mimic::monitor {

namespace {

constexpr std::string_view prompt = "(qemu) "; // scripts wait for it
constexpr size_t max_line = 4096, max_history = 64;

class HumanSession final : public Session {
public:
    HumanSession(Monitor& m, chardev::Chardev& dev) : Session(m, dev) {
        bool shared = dev.filename() == "mux"; // its prompt comes with the keyboard
        dev.attach(this);
        if (!shared) greet();
    }
    void receive(std::span<const u8> bytes) override {
        for (u8 b : bytes) key(b);
    }
    void event(chardev::Event e) override {
        if (e == chardev::Event::closed) forget_output();
        if (e == chardev::Event::opened) greet();
        if (e != chardev::Event::mux_in) return;
        if (greeted_)
            show("\n"), begin();
        else
            greet();
    }

private:
    void show(std::string_view text) {
        std::string out;
        for (char c : text) out += c == '\n' ? "\r\n" : std::string(1, c);
        send(out);
    }
    void greet() {
        greeted_ = true;
        show(fmt::format("Mimic {} monitor - type 'help' for more information\n", qmp::version));
        begin();
    }
    void begin() {
        line_.clear();
        chosen_ = history_.size();
        show(prompt);
    }
    void key(u8 c);
    void escape(u8 c);
    void replace(const std::string& line) {
        show("\r\033[K");
        line_ = line;
        show(std::string(prompt) + line_);
    }
    void recall(size_t n) {
        chosen_ = n;
        replace(n < history_.size() ? history_[n] : std::string());
    }
    void enter();
    void complete();

    std::string line_;
    std::deque<std::string> history_;
    size_t chosen_ = 0;
    u8 escape_ = 0; // bytes of a sequence seen
    bool greeted_ = false;
    Human person_;
};

void HumanSession::key(u8 c) {
    if (escape_) return escape(c);
    switch (c) {
    case 27: escape_ = 1; return;
    case '\r':
    case '\n': return enter();
    case 8:
    case 127:
        if (line_.empty()) return;
        line_.pop_back();
        return show("\b \b");
    case 21: return replace({}); // C-u
    case 23:                     // C-w
        while (!line_.empty() && line_.back() == ' ') line_.pop_back();
        while (!line_.empty() && line_.back() != ' ') line_.pop_back();
        return replace(line_);
    case 16: return chosen_ ? recall(chosen_ - 1) : void();                   // C-p
    case 14: return chosen_ < history_.size() ? recall(chosen_ + 1) : void(); // C-n
    case '\t': return complete();
    default: break;
    }
    if (c < 32 || line_.size() >= max_line) return;
    line_ += char(c);
    send({reinterpret_cast<const char*>(&c), 1});
}

// ESC [ A and B: through what was typed before. Others are ignored.
void HumanSession::escape(u8 c) {
    if (escape_ == 1) {
        escape_ = c == '[' || c == 'O' ? 2 : 0;
        return;
    }
    if ((c >= '0' && c <= '9') || c == ';') return;
    escape_ = 0;
    if (c == 'A') key(16);
    if (c == 'B') key(14);
}

void HumanSession::enter() {
    show("\n");
    std::string line = line_;
    if (line.find_first_not_of(' ') != std::string::npos) {
        if (history_.empty() || history_.back() != line) history_.push_back(line);
        if (history_.size() > max_history) history_.pop_front();
        show(monitor_.human(line, person_));
    }
    begin();
}

void HumanSession::complete() {
    bool info = line_.starts_with("info ");
    std::string begun = info ? line_.substr(5) : line_;
    if (begun.find(' ') != std::string::npos) return;
    std::vector<std::string_view> found;
    for (const HumanCommand& c : info ? info_commands() : human_commands()) {
        std::string_view name = c.names.substr(0, c.names.find('|'));
        if (name.starts_with(begun)) found.push_back(name);
    }
    if (found.empty()) return;
    std::string_view common = found[0];
    for (std::string_view f : found)
        while (!f.starts_with(common)) common.remove_suffix(1);
    std::string more(common.substr(begun.size()));
    if (found.size() == 1) more += ' ';
    if (more.empty()) {
        std::string list = "\n";
        for (std::string_view f : found) list += fmt::format("{:<24}", f);
        show(list + "\n");
        return replace(line_);
    }
    line_ += more;
    show(more);
}

} // namespace

std::unique_ptr<Session> make_human_session(Monitor& m, chardev::Chardev& dev) {
    return std::make_unique<HumanSession>(m, dev);
}

} // namespace mimic::monitor
