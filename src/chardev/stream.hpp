// Stream: a chardev over descriptors of the host, driven by the loop: output is buffered and written when it can be,
// input is read when the front end has room. A layer may lie between the two; then input is read before there is room, a little.
#pragma once
#include "base/io/scope.hpp"
#include "base/io/watch.hpp"
#include "chardev/chardev.hpp"
#include "chardev/layers/layer.hpp"
#include <mutex>

namespace mimic::chardev {

struct StreamWire {
    std::unique_ptr<Layer> layer = nullptr;
    bool datagrams = false; // a read is one, and a write
};

class Stream : public Chardev {
public:
    static constexpr u32 max_buffered = 64 << 10;
    Stream(io::Loop& loop, std::string id);
    // Stops and waits for its coroutines.
    ~Stream() override;

    u32 write(std::span<const u8> bytes) override;
    void accept_input() override;
    void attach(FrontEnd* front) override;
    void flush() override { flush_some(); }
    void drain() override;

protected:
    // Descriptors to use from now on; -1: that direction has none. They stay the caller's.
    void connect(int in, int out, StreamWire wire = {});
    // The layer is ready, if there is one: the front end may be told. Also from inside connect().
    virtual void came() {}
    // Ends the layer's conversation; before disconnect().
    void say_goodbye();
    // Both directions are over when it ends; bytes written meanwhile are lost.
    io::Task<void> stop();
    // The same, from outside of the loop; destructors that close descriptors call it first.
    void disconnect();
    // The peer's end was seen. Runs beside other tasks of the loop.
    virtual io::Task<Result<void>> hung_up() { co_return Result<void>{}; }
    bool connected() const { return in_ >= 0 || out_ >= 0; }
    io::Loop& loop() const { return loop_; }
    io::Scope& ends() { return ends_; } // hung_up() in work

private:
    io::Task<Result<void>> read_loop();
    io::Task<Result<void>> write_loop();
    bool flush_some();
    void flush_plain();
    void flush_layered();
    void take_in(std::span<const u8> bytes);
    bool hand_in();
    void give_up();

    io::Loop& loop_;
    int in_ = -1, out_ = -1;
    std::shared_ptr<io::Watch> in_watch_, out_watch_; // one for both where the descriptor is one
    io::Scope tasks_, ends_;
    io::WaitList room_, output_, flushed_;
    std::unique_ptr<Layer> layer_;
    bool datagrams_ = false, refused_ = false; // by the layer
    Bytes pending_, raw_;                      // input for the front end; the layer's output
    std::mutex mutex_;                         // of what follows
    Bytes buffer_;
    bool full_ = false, posted_ = false, talking_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace mimic::chardev
