// Input on its way to a machine's devices: the router that knows who takes it, and keys that are pressed now and released a
// little later, in guest time. All of it is called inside the machine's context.
#pragma once
#include "devices/base/device.hpp"
#include "display/input.hpp"
#include <deque>

namespace mimic::devices {

class InputQueue {
public:
    static constexpr size_t max_waiting = 1024; // steps
    explicit InputQueue(Device& root) : root_(root) {}

    display::InputRouter& router() { return router_; }
    struct Step {
        enum class Kind : u8 { event, sync, delay };
        Kind kind = Kind::event;
        display::InputEvent event; // for any console
        u64 nanoseconds = 0;       // of a delay
    };
    // They come behind those that wait. False: these would be too many, and none was taken.
    bool add(std::span<const Step> steps);
    // What waits comes now (the machine is saved, and its devices know what is pressed).
    void hurry();
    // What waits does not come any more.
    void forget();

private:
    void run();
    Device& root_;
    display::InputRouter router_;
    std::deque<Step> waiting_; // while a delay lasts
    Timer delay_{root_, [this] { run(); }};
};

} // namespace mimic::devices
