// Guest time that is counted in instructions (-icount), as a machine's ports see it. What a guest's own requests lead to comes
// at a fixed time after them, however long the host takes: the agenda has it, and processors wait for it when it is due.
#pragma once
#include "devices/base/machine.hpp"
#include <condition_variable>

namespace mimic::devices {

// What runs the processors implements it. Its thread is the one that runs them.
class CountedTime {
public:
    virtual ~CountedTime() = default;
    virtual u64 now() = 0; // nanoseconds; exact on its thread
    virtual u64 count() = 0;
    virtual void set(u64 nanoseconds, u64 count) = 0; // while the machine is stopped
    virtual bool here() const = 0;
    // Any thread. An event may be earlier than those that were known.
    virtual void changed() = 0;
    // Any thread. Processors stand still from the end of the instruction that runs until all holds are released.
    virtual void hold() = 0;
    virtual void release() = 0;
    // On its thread: an input arrives at this count.
    virtual void note(Port port) = 0;
};

class Agenda {
public:
    // Nanoseconds from a request to its end; longer than most hosts take, so that they are seldom waited for.
    static constexpr u64 block_delay = 100'000, network_delay = 50'000;

    Agenda(Machine& machine, CountedTime& time) : machine_(machine), time_(&time) {}
    // There is no time any more: the machine goes, and what the host still works at ends at once.
    void end();
    u64 next() const; // Timer::never: nothing is to come
    // Something will be answered with this number. On the time's thread, or while the machine is stopped.
    u64 expect(u64 delay);
    // f runs inside the device's context when its time has come. Any thread.
    void answer(u64 number, Port port, Device& device, std::function<void()> f);
    // f runs on the loop's thread a little later, and processors stand still meanwhile.
    void ask(Port port, std::function<void()> f);
    // How many requests the host is done with whose time has not come.
    u32 answered() const;
    // All that is due. False: `stop` asked not to wait for the host.
    bool run(const std::function<bool()>& stop);
    void wake();
    // From now on (until false) what is answered comes at once, as nobody counts. While the machine is stopped.
    void hurry(bool on);
    // Another time begins (a saved machine is loaded): nothing of the old one is to come.
    void forget();

private:
    struct Item {
        Port port = Port::block;
        Device* device = nullptr;
        std::function<void()> work; // for the loop's thread, when it is due
        std::function<void()> then; // in the device's context
        bool ready = false;
    };
    using Key = std::pair<u64, u64>; // when, number
    std::map<Key, Item>::iterator find(u64 number);
    void done(u64 number);

    Machine& machine_;
    CountedTime* time_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::map<Key, Item> items_;
    u64 last_ = 0;
    bool hurried_ = false;
    bool working_ = false; // of the loop's thread: processors wait for what it does
};

} // namespace mimic::devices
