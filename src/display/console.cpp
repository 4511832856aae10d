#include "display/console.hpp"
#include <algorithm>

namespace mimic::display {

Console::Console(Source& source, u32 index, std::string device, u32 head)
    : source_(source)
    , index_(index)
    , head_(head)
    , device_(std::move(device)) {}

Console::~Console() {
    for (Listener* l : std::exchange(listeners_, {})) l->console_gone(*this);
}

void Console::show(Surface surface) {
    if (surface == surface_) return;
    surface_ = std::move(surface);
    for (size_t i = 0; i < listeners_.size(); i++) listeners_[i]->surface_changed(*this);
    fresh_ = listeners_;
}

void Console::damage(const Rect& part) {
    if (!watched()) return;
    std::lock_guard lock(mutex_);
    damage_.add(part);
}

void Console::see_who_watches() {
    const bool on = std::any_of(listeners_.begin(), listeners_.end(), [](Listener* l) { return l->live(); });
    if (watched_.exchange(on, std::memory_order_acq_rel) == on) return;
    std::lock_guard lock(mutex_);
    damage_.take();
}

void Console::attach(Listener& listener) {
    listeners_.push_back(&listener);
    fresh_.push_back(&listener);
    see_who_watches();
    if (surface_.pixels) listener.surface_changed(*this);
}

void Console::detach(Listener& listener) {
    std::erase(listeners_, &listener);
    std::erase(fresh_, &listener);
    see_who_watches();
}

void Console::refresh() {
    source_.refresh(*this);
    std::vector<Rect> drawn;
    {
        std::lock_guard lock(mutex_);
        drawn = damage_.take();
    }
    for (Rect& r : drawn) r = intersected(r, surface_.whole());
    std::erase_if(drawn, [](const Rect& r) { return r.empty(); });
    const Rect whole = surface_.whole();
    // Listeners may leave while they are told.
    const std::vector<Listener*> fresh = std::exchange(fresh_, {}), all = listeners_;
    auto among = [](const std::vector<Listener*>& list, Listener* l) {
        return std::find(list.begin(), list.end(), l) != list.end();
    };
    for (Listener* l : all) {
        if (!among(listeners_, l)) continue;
        if (among(fresh, l)) {
            if (!whole.empty()) l->updated(*this, {&whole, 1});
        } else if (!drawn.empty() && l->live()) {
            l->updated(*this, drawn);
        }
    }
}

Console& Consoles::add(Source& source, std::string device, u32 head) {
    u32 index = 0;
    auto at = all_.begin();
    for (; at != all_.end() && (*at)->index() == index; ++at) index++;
    return **all_.insert(at, std::make_unique<Console>(source, index, std::move(device), head));
}

void Consoles::remove(Console& console) {
    std::erase_if(all_, [&](const auto& c) { return c.get() == &console; });
}

Console* Consoles::find(u32 index) const {
    for (const auto& c : all_)
        if (c->index() == index) return c.get();
    return nullptr;
}

Console* Consoles::find(std::string_view device, u32 head) const {
    for (const auto& c : all_)
        if (c->device() == device && c->head() == head) return c.get();
    return nullptr;
}

} // namespace mimic::display
