// Consoles: screens of a machine, and who looks at them. A device is the source of one console a head; front ends (a screendump,
// VNC, a window) listen to them. Consoles of text will be sources that draw characters and belong to no device.
//
//   class Ramfb : public Device, Source { ... };              console_ = &machine().consoles().add(*this, id());
//   class Window : public Listener { ... };                   console->attach(window);
//   console->refresh();                                       // at the rate at which the window wants pictures
//
// All of it is for the loop's thread, outside of any device's context, but for damage(). Nothing happens without a listener: no
// timer runs, no page is watched, and damage is dropped.
#pragma once
#include "display/damage.hpp"
#include <atomic>
#include <mutex>
#include <string>

namespace mimic::display {

class Console;

class Listener {
public:
    virtual ~Listener() = default;
    // Looks again and again, and wants to hear what changes meanwhile. False: one picture is enough.
    virtual bool live() const { return true; }
    // The console shows another surface, all of which will be updated().
    virtual void surface_changed(Console& console) = 0;
    // These parts of the surface were drawn. They lie inside, and their pixels are looked at now: later they may be gone.
    virtual void updated(Console& console, std::span<const Rect> parts) = 0;
    // The device goes, the console with it; the listener is detached.
    virtual void console_gone(Console&) {}
};

// What draws.
class Source {
public:
    virtual ~Source() = default;
    // Brings the surface up to date: show() if it is another one, damage() for what changed since the last time.
    virtual void refresh(Console& console) = 0;
};

class Console {
public:
    Console(Source& source, u32 index, std::string device, u32 head);
    ~Console();
    Console(const Console&) = delete;

    u32 index() const { return index_; }
    const std::string& device() const { return device_; } // its id; empty: none
    u32 head() const { return head_; }                    // of a device with several
    const Surface& surface() const { return surface_; }

    // ---- for sources ------------------------------------------------------------------------------------------------
    // Inside refresh(). The same surface again is no change.
    void show(Surface surface);
    // Drawn; listeners hear of it at the next refresh. Any thread.
    void damage(const Rect& part);
    // A live listener is there: changes are to be told.
    bool watched() const { return watched_.load(std::memory_order_acquire); }

    // ---- for front ends ---------------------------------------------------------------------------------------------
    // It hears of the surface and of all of it at the next refresh.
    void attach(Listener& listener);
    void detach(Listener& listener);
    void refresh();

private:
    void see_who_watches();
    Source& source_;
    u32 index_, head_;
    std::string device_;
    Surface surface_;
    std::vector<Listener*> listeners_, fresh_; // fresh: have seen nothing
    std::atomic<bool> watched_{false};
    std::mutex mutex_;
    Damage damage_; // under the mutex
};

// Those of a machine.
class Consoles {
public:
    // The lowest free index.
    Console& add(Source& source, std::string device, u32 head = 0);
    void remove(Console& console);
    Console* find(u32 index) const;                                           // null: none
    Console* find(std::string_view device, u32 head) const;                   // null: none
    const std::vector<std::unique_ptr<Console>>& all() const { return all_; } // by index

private:
    std::vector<std::unique_ptr<Console>> all_;
};

} // namespace mimic::display
