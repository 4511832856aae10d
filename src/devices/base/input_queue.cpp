#include "devices/base/input_queue.hpp"
#include "devices/base/machine.hpp"

namespace mimic::devices {

bool InputQueue::add(std::span<const Step> steps) {
    if (steps.size() > max_waiting - waiting_.size()) return false;
    waiting_.insert(waiting_.end(), steps.begin(), steps.end());
    if (delay_.deadline() == Timer::never) run();
    return true;
}

// Until a delay begins.
void InputQueue::run() {
    delay_.disarm();
    while (!waiting_.empty()) {
        const Step step = waiting_.front();
        waiting_.pop_front();
        switch (step.kind) {
        case Step::Kind::event: router_.send(nullptr, step.event); break;
        case Step::Kind::sync: router_.sync(); break;
        case Step::Kind::delay: return delay_.arm(root_.machine().now() + step.nanoseconds);
        }
    }
}

void InputQueue::hurry() {
    std::erase_if(waiting_, [](const Step& s) { return s.kind == Step::Kind::delay; });
    run();
}

void InputQueue::forget() {
    waiting_.clear();
    delay_.disarm();
}

} // namespace mimic::devices
