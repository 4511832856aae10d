#include "base/module_state.hpp"

namespace mimic::modules {

State& state() {
    static State s;
    return s;
}

void set_hand_over(std::function<void()> hand_over) { state().hand_over = std::move(hand_over); }
void no_return() { state().hand_over = nullptr; }
void hand_over() {
    if (state().hand_over) state().hand_over();
}

Result<const Head*> open(std::string_view name, unsigned revision) {
    State& s = state();
    if (!s.load) {
        hand_over();
        return Error::unsupported("module '{}' cannot be opened from here, expected mimic-system to do this", name);
    }
    std::lock_guard held(s.lock);
    if (auto at = s.open.find(name); at != s.open.end()) return at->second;
    auto head = s.load(name, revision);
    if (head) s.open.emplace(name, *head);
    return head;
}

} // namespace mimic::modules
