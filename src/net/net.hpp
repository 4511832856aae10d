// Host networks: what a guest's network card is plugged into. A back end (user, ...) on one side, at most one front end (the
// card) on the other; frames are Ethernet without their check sequence. Both ways hold a bounded number of frames.
//
//   auto n = TRY(net::open(loop, "user,id=n0,hostfwd=tcp::2222-:22"));
//   n->attach(&card);
//   if (!n->send(std::move(frame))) ...;   // any thread; card.writable() is called when there is room again
#pragma once
#include "base/io/loop.hpp"
#include <atomic>
#include <deque>
#include <mutex>
#include <span>
#include <string>

namespace mimic::net {

using Frame = std::vector<u8>;
constexpr u32 max_frame = 65550; // of a frame's bytes

// Called on the loop's thread.
class FrontEnd {
public:
    virtual ~FrontEnd() = default;
    // False: there is no room; the frame is offered again after BackEnd::accept_input.
    virtual bool receive(std::span<const u8> frame) = 0;
    virtual void writable() {}
};

class BackEnd {
public:
    static constexpr size_t max_waiting = 256; // frames, each way

    BackEnd(io::Loop& loop, std::string id) : loop_(loop), id_(std::move(id)) {}
    virtual ~BackEnd();
    BackEnd(const BackEnd&) = delete;
    const std::string& id() const { return id_; }
    virtual std::string_view kind() const = 0;
    // As `info network` shows it: "net=10.0.2.0,restrict=off".
    virtual std::string info() const = 0;
    // Queue pairs that a card with several may use.
    virtual u32 queues() const { return 1; }

    // On the loop's thread. Null: detaches; frames that wait are dropped.
    void attach(FrontEnd* front);
    // From the guest. Any thread. False: full; the frame was not taken.
    bool send(Frame&& frame);
    bool has_room();
    // The front end has room again. Any thread.
    void accept_input();
    u64 dropped() const { return dropped_; } // frames for the guest
    // Frames that wait are dropped, both ways, and nobody who was called for them comes. On the loop's thread.
    void forget();
    // What the guest does reaches the loop's thread by `caller`, which runs it there at a time of the guest's. Answers come with
    // it; nothing comes that only time led to.
    void pace(std::function<void(std::function<void()>)> caller) { caller_ = std::move(caller); }

protected:
    // A frame of the guest, on the loop's thread.
    virtual void transmit(std::span<const u8> frame) = 0;
    // After a row of them.
    virtual void transmitted() {}
    // A frame for the guest, on the loop's thread. It waits if the front end has no room, and is dropped if too many do.
    void deliver(std::span<const u8> frame);
    io::Loop& loop() const { return loop_; }
    bool paced() const { return caller_ != nullptr; }

private:
    void flush_out();
    void flush_in();
    void call(void (BackEnd::*f)());

    io::Loop& loop_;
    std::string id_;
    FrontEnd* front_ = nullptr;
    std::mutex mutex_;
    std::deque<Frame> out_; // under the mutex
    bool full_ = false;     // somebody waits for room
    std::deque<Frame> in_;
    std::atomic<bool> in_waits_{false};
    u64 dropped_ = 0;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::function<void(std::function<void()>)> caller_;
};

// "user,id=n0,hostfwd=a,hostfwd=b": the kind, and names with their values; ",," is a comma of a value.
struct Options {
    std::string kind;
    std::vector<std::pair<std::string, std::string>> values;
    // Removes and gives the last value of that name; the default if there is none.
    std::string take(std::string_view name, std::string_view otherwise = {});
    std::vector<std::string> take_all(std::string_view name);
};
Result<Options> parse(std::string_view text);

// On the loop's thread. Errors name the network, the option, its value and what was expected.
Result<std::unique_ptr<BackEnd>> open(io::Loop& loop, std::string_view text);
Result<std::unique_ptr<BackEnd>> open(io::Loop& loop, Options options);
// Kinds, one a line, for -netdev help.
std::string help();

} // namespace mimic::net
