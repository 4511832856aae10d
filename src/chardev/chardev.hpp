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
    // From now on it writes to another one, which attaches it. False: it can't.
    virtual bool move_to(Chardev&) { return false; }
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
    // Its front end goes to another one, which has none. False: that can't. On the loop's thread.
    bool hand_over(Chardev& to) {
        FrontEnd* front = front_;
        if (!front) return true;
        if (!front->move_to(to)) return false;
        attach(nullptr);
        to.attach(front);
        front->writable();
        return true;
    }

    // Any thread. Bytes taken (0 to all); bytes to a peer that is not there are taken and lost.
    virtual u32 write(std::span<const u8> bytes) = 0;
    // The front end sees a break on the line. On the loop's thread.
    void send_break() {
        if (front_) front_->event(Event::break_signal);
    }
    // The front end has room again. Any thread.
    virtual void accept_input() {}
    // Blocks until what was written is out, for the end of the process. On the loop's thread.
    virtual void drain() {}

protected:
    FrontEnd* front() const { return front_; }

private:
    std::string id_;
    FrontEnd* front_ = nullptr;
};

} // namespace mimic::chardev
