// Character devices: where the bytes of serial ports and monitors come from and go to. A back end (stdio, pty, socket, file,
// ...) on one side, at most one front end on the other; a mux shares one back end among several.
//
//   auto dev = TRY(chardev::open(loop, "serial0", "stdio"));
//   dev->attach(&front);
//   u32 n = dev->write(bytes);            // any thread; the rest when front->writable() is called
#pragma once
#include "base/result.hpp"
#include <span>
#include <string>

namespace mimic::chardev {

class Chardev;
enum class Event : u8 { opened, closed, break_signal, mux_in, mux_out };

// Called on the loop's thread.
class FrontEnd {
public:
    virtual ~FrontEnd() = default;
    // Bytes that receive() would take now; 0: none until it calls Chardev::accept_input.
    virtual u32 room() = 0;
    virtual void receive(std::span<const u8> bytes) = 0; // at most room() of them
    virtual void event(Event) {}
    virtual void writable() {}
    // Whether it can go from its back end to another one.
    virtual bool can_move() const { return false; }
    // From now on it writes to another one, which attaches it.
    virtual void move_to(Chardev&) {}
};

class Chardev {
public:
    explicit Chardev(std::string id) : id_(std::move(id)) {}
    virtual ~Chardev() = default;
    Chardev(const Chardev&) = delete;
    const std::string& id() const { return id_; }
    // How a user would name it: "stdio", "pty:/dev/pts/3", "unix:/tmp/s,server=on".
    virtual std::string filename() const = 0;

    // On the loop's thread. Null: detaches. `busy` is true when another front end has it.
    virtual void attach(FrontEnd* front) { front_ = front; }
    virtual bool busy() const { return front_; }
    // Whether somebody is at the other end. On the loop's thread.
    virtual bool is_open() const { return true; }
    bool can_hand_over() const { return !front_ || front_->can_move(); }
    // Its front end, for which can_hand_over() is true, goes to another one, which has none. On the loop's thread.
    void hand_over(Chardev& to) {
        FrontEnd* front = front_;
        if (!front) return;
        front->move_to(to);
        attach(nullptr);
        to.attach(front);
        front->event(to.is_open() ? Event::opened : Event::closed);
        front->writable();
    }

    // Any thread. Bytes taken (0 to all); bytes to a peer that is not there are taken and lost.
    virtual u32 write(std::span<const u8> bytes) = 0;
    // The front end sees a break on the line. On the loop's thread.
    void send_break() {
        if (front_) front_->event(Event::break_signal);
    }
    // The front end has room again. Any thread.
    virtual void accept_input() {}
    // What was written goes out as far as the peer takes it now. On the loop's thread.
    virtual void flush() {}
    // Blocks until what was written is out, for the end of the process. On the loop's thread.
    virtual void drain() {}

protected:
    FrontEnd* front() const { return front_; }

private:
    std::string id_;
    FrontEnd* front_ = nullptr;
};

} // namespace mimic::chardev
