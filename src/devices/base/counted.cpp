#include "devices/base/counted.hpp"
#include "devices/base/timers.hpp"
#include <algorithm>

namespace mimic::devices {

// ---- the agenda

u64 Agenda::next() const {
    std::lock_guard lock(mutex_);
    return items_.empty() ? Timer::never : items_.begin()->first.first;
}

u64 Agenda::expect(u64 delay) {
    if (!time_) return 0;
    std::lock_guard lock(mutex_);
    items_[{time_->now() + delay, ++last_}] = {};
    return last_;
}

std::map<Agenda::Key, Agenda::Item>::iterator Agenda::find(u64 number) {
    return std::find_if(items_.begin(), items_.end(), [&](const auto& i) { return i.first.second == number; });
}

void Agenda::answer(u64 number, Port port, Device& device, std::function<void()> f) {
    {
        std::lock_guard lock(mutex_);
        auto at = find(number);
        if (at != items_.end() && !hurried_ && time_) {
            at->second.port = port, at->second.device = &device, at->second.then = std::move(f);
            at->second.ready = true;
            changed_.notify_all();
            return;
        }
        if (at != items_.end()) items_.erase(at);
    }
    machine_.arrive(port, device, f);
}

void Agenda::ask(Port port, std::function<void()> f) {
    if (!time_ || !(time_->here() || working_)) return machine_.post(std::move(f)); // nothing that the guest did
    std::lock_guard lock(mutex_);
    Item& i = items_[{time_->now() + network_delay, ++last_}];
    i.port = port, i.work = std::move(f);
}

void Agenda::done(u64 number) {
    std::lock_guard lock(mutex_);
    if (auto at = find(number); at != items_.end()) at->second.ready = true;
    changed_.notify_all();
}

bool Agenda::run(const std::function<bool()>& stop) {
    for (;;) {
        std::unique_lock lock(mutex_);
        if (items_.empty() || items_.begin()->first.first > time_->now()) return true;
        const Key key = items_.begin()->first;
        Item& item = items_.begin()->second;
        if (auto work = std::exchange(item.work, nullptr)) {
            lock.unlock();
            machine_.post([this, work = std::move(work), number = key.second] {
                working_ = true;
                work();
                working_ = false;
                done(number);
            });
            lock.lock();
        }
        changed_.wait(lock, [&] { return item.ready || stop(); });
        if (!item.ready) return false;
        const Item i = std::move(item);
        items_.erase(key);
        lock.unlock();
        time_->note(i.port);
        if (i.then) machine_.arrive(i.port, *i.device, i.then);
    }
}

u32 Agenda::answered() const {
    std::lock_guard lock(mutex_);
    return u32(
        std::count_if(items_.begin(), items_.end(), [](const auto& i) { return i.second.ready && i.second.then; }));
}

void Agenda::wake() {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
}

void Agenda::hurry(bool on) {
    std::vector<Item> ready;
    {
        std::lock_guard lock(mutex_);
        hurried_ = on;
        if (!on) return;
        for (auto at = items_.begin(); at != items_.end();) {
            const bool take = at->second.ready && at->second.then;
            if (take) ready.push_back(std::move(at->second));
            at = take ? items_.erase(at) : std::next(at);
        }
    }
    for (Item& i : ready) machine_.arrive(i.port, *i.device, i.then);
}

void Agenda::forget() {
    std::lock_guard lock(mutex_);
    items_.clear();
}

void Agenda::end() {
    hurry(true);
    time_ = nullptr;
}

// ---- what the machine has of it

void Machine::count_time(CountedTime& time) {
    counted_ = &time;
    agenda_ = std::make_unique<Agenda>(*this, time);
}

void Machine::end_count() {
    agenda_->end();
    counted_ = nullptr;
}

u64 Machine::count() const { return counted_ ? counted_->count() : 0; }

u64 Machine::counted_now() const { return counted_->now(); }

u64 Machine::expect() { return agenda_ ? agenda_->expect(Agenda::block_delay) : 0; }

void Machine::answer(u64 number, Port port, Device& device, std::function<void()> f) {
    agenda_ ? agenda_->answer(number, port, device, std::move(f)) : arrive(port, device, f);
}

void Machine::ask(Port port, std::function<void()> f) {
    agenda_ ? agenda_->ask(port, std::move(f)) : post(std::move(f));
}

void Machine::hurry(bool on) {
    if (agenda_) agenda_->hurry(on);
}

u64 Machine::next_event() const { return std::min(timers_->next(), agenda_->next()); }

// Called again at one time when somebody wanted processors to stand: timers that are armed for now again wait all the same.
bool Machine::run_events(const std::function<bool()>& stop) {
    if (const u64 now = counted_->now(); std::exchange(timers_ran_at_, now) != now) timers_->run_due();
    return agenda_->run(stop);
}

void Machine::wake_events() {
    if (agenda_) agenda_->wake();
}

void Machine::event_is_near() {
    if (counted_ && !counted_->here()) counted_->changed();
}

bool Machine::on_counting_thread() const { return counted_ && counted_->here(); }

} // namespace mimic::devices
