// Host networks: what a guest's network card is plugged into. A back end (user, stream, tap, ...; one file each in backends/) on
// one side, at most one front end (the card) on the other; frames are Ethernet without their check sequence. Both ways hold a
// bounded number of frames.
//
//   net::Context context{loop};
//   auto n = TRY(net::open(context, "user,id=n0,hostfwd=tcp::2222-:22"));
//   n->attach(&card);
//   if (!n->send(std::move(frame))) ...;   // any thread; card.writable() is called when there is room again
#pragma once
#include "base/io/loop.hpp"
#include "base/json.hpp"
#include "net/options.hpp"
#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <span>
#include <string>

namespace mimic::net {

using Frame = std::vector<u8>;
constexpr u32 max_frame = 65550; // of a frame's bytes

// In front of each frame, both ways, where the back end has offloads: the first ten bytes of VIRTIO 1.2, 5.1.6, little endian
// (no num_buffers).
constexpr u32 offload_header = 10;
// What a receiver does itself that the sender may leave to it.
namespace offload {
constexpr u32 checksum = 1, tso4 = 2, tso6 = 4, ecn = 8, ufo = 16;
}

// Called on the loop's thread.
class FrontEnd {
public:
    virtual ~FrontEnd() = default;
    // False: there is no room; the frame is offered again after BackEnd::accept_input.
    virtual bool receive(std::span<const u8> frame) = 0;
    virtual void writable() {}
    // The cable is plugged in or pulled.
    virtual void link_changed(bool /*up*/) {}
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
    // What the card may leave to it (offload::*), and it to the card. Not 0: frames have the header.
    virtual u32 offloads() const { return 0; }
    // What the guest has said that it does itself; nothing at first. Any thread.
    virtual void take_offloads(u32 /*set*/) {}

    // On the loop's thread. Null: detaches; frames that wait are dropped.
    void attach(FrontEnd* front);
    bool attached() const { return front_; }
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
    // While the link is down, frames are lost both ways. `tell`: the front end hears of it. On the loop's thread.
    void set_link(bool up, bool tell = true);
    bool link_up() const { return link_up_; }

protected:
    // A frame of the guest, on the loop's thread; only while can_transmit().
    virtual void transmit(std::span<const u8> frame) = 0;
    // After a row of them.
    virtual void transmitted() {}
    // False: the host takes no more; frames wait until transmit_more(). Not asked of a paced network, whose guest must not
    // see how busy the host is: what the host does not take is lost there.
    virtual bool can_transmit() { return true; }
    void transmit_more();
    // A frame for the guest, on the loop's thread. It waits if the front end has no room, and is dropped if too many do.
    void deliver(std::span<const u8> frame);
    // Frames wait for the front end. A back end whose host can wait, too, reads no more until taken() is called.
    bool congested() const { return !in_.empty(); }
    virtual void taken() {}
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
    bool full_ = false;     // somebody waits for room; under the mutex
    std::deque<Frame> going_out_;
    bool flushing_ = false;
    std::deque<Frame> in_;
    std::atomic<bool> in_waits_{false};
    u64 dropped_ = 0;
    std::atomic<bool> link_up_{true};
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::function<void(std::function<void()>)> caller_;
};

// Bytes to and from something of the host that is no network: where a connection that is forwarded out of the guest's ends.
class Stream {
public:
    // Who reads them; called on the loop's thread.
    class Reader {
    public:
        virtual ~Reader() = default;
        virtual u32 room() = 0; // bytes that receive() would take now; 0: none until Stream::accept_input
        virtual void receive(std::span<const u8> bytes) = 0;
        virtual void writable() = 0; // after a write() that did not take all
    };
    virtual ~Stream() = default;
    virtual u32 write(std::span<const u8> bytes) = 0; // bytes taken
    virtual void accept_input() = 0;
    virtual void drain() {} // blocks for a short while until what was written is out
};

class Hub;
// The networks of one machine: what their back ends share.
struct Context {
    io::Loop& loop;
    // One that a user calls `text` ("tcp:HOST:PORT", "chardev:ID"), under a name. Empty: there are none.
    std::function<Result<std::unique_ptr<Stream>>(const std::string& name, const std::string& text,
                                                  Stream::Reader& reader)>
        open_stream = {};
    // Another network, by its id; null: there is none.
    std::function<BackEnd*(std::string_view id)> find = [](std::string_view) -> BackEnd* { return nullptr; };
    // Events of QMP. On the loop's thread.
    std::function<void(std::string_view name, Json data)> on_event = [](std::string_view, Json) {};
    std::map<u32, std::weak_ptr<Hub>> hubs = {}; // by their numbers; ports keep them
};

// On the loop's thread; the context outlives the network. Errors name the network, the option, its value and what was expected.
Result<std::unique_ptr<BackEnd>> open(Context& context, std::string_view text);
Result<std::unique_ptr<BackEnd>> open(Context& context, Options options);
// Kinds, one a line, for -netdev help.
std::string help();

} // namespace mimic::net
