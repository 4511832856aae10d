#include "display/input.hpp"
#include <algorithm>
#include <linux/input-event-codes.h>

namespace mimic::display {

namespace {
constexpr Key all_keys[] = {
#define KEY(name, code, number) {#name, code, number},
#include "display/keys.def"
#undef KEY
};
} // namespace

std::span<const Key> keys() { return all_keys; }

const Key* find_key(std::string_view name) {
    auto it = std::find_if(std::begin(all_keys), std::end(all_keys), [&](const Key& k) { return k.name == name; });
    return it == std::end(all_keys) ? nullptr : it;
}

const Key* find_key(u32 number) {
    if (!number) return nullptr;
    auto it = std::find_if(std::begin(all_keys), std::end(all_keys), [&](const Key& k) { return k.number == number; });
    return it == std::end(all_keys) ? nullptr : it;
}

std::vector<InputRouter::Entry>::iterator InputRouter::find(const InputHandler& handler) {
    return std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.handler == &handler; });
}

void InputRouter::add(InputHandler& handler, const Console* console) {
    entries_.push_back({&handler, console, next_index_++, false});
}

void InputRouter::remove(InputHandler& handler) {
    if (auto it = find(handler); it != entries_.end()) entries_.erase(it);
}

void InputRouter::activate(InputHandler& handler) {
    if (auto it = find(handler); it != entries_.end()) std::rotate(entries_.begin(), it, it + 1);
}

void InputRouter::deactivate(InputHandler& handler) {
    if (auto it = find(handler); it != entries_.end()) std::rotate(it, it + 1, entries_.end());
}

InputHandler* InputRouter::handler(const Console* console, InputEvent::Kind kind) const {
    for (const Console* of : {console, static_cast<const Console*>(nullptr)})
        for (const Entry& e : entries_)
            if (e.console == of && e.handler->takes(kind)) return e.handler;
    return nullptr;
}

bool InputRouter::send(const Console* console, const InputEvent& event) {
    InputHandler* to = handler(console, event.kind);
    if (!to) return false;
    find(*to)->told = true;
    to->input(event);
    return true;
}

void InputRouter::sync() {
    for (size_t i = 0; i < entries_.size(); i++)
        if (std::exchange(entries_[i].told, false)) entries_[i].handler->input_sync();
}

std::vector<InputRouter::Mouse> InputRouter::mice() const {
    std::vector<Mouse> all;
    for (const Entry& e : entries_) {
        const bool absolute = e.handler->takes(InputEvent::Kind::absolute);
        if (absolute || e.handler->takes(InputEvent::Kind::relative)) all.push_back({e.index, e.handler, absolute});
    }
    return all;
}

} // namespace mimic::display
