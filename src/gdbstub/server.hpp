// Server: gdb's remote serial protocol over any transport. GDB manual, appendix E.
//
//   gdb::Server server(target, [&](std::string_view bytes) { connection.write(bytes); });
//   server.connect();            // a peer is there: the target stops
//   server.feed(bytes);          // what it sends
//   server.disconnect();
//
// Not there: non-stop mode, attaching to and starting processes, tracepoints, files that are written, reverse execution.
#pragma once
#include "gdbstub/files.hpp"
#include "gdbstub/packet.hpp"
#include "gdbstub/target.hpp"

namespace mimic::gdb {

class Server {
public:
    Server(Target& target, std::function<void(std::string_view)> out);
    ~Server();
    Server(const Server&) = delete;

    void connect();
    // A connection that another server began, which waits for a stop; state() is that of the other.
    struct State {
        bool acknowledges = true, processes = false;
        Target::Events events;
    };
    State state() const { return {acknowledges_, processes_, events_}; }
    void take_over(const State& state, bool waiting);
    void disconnect();
    void feed(std::span<const u8> bytes);

private:
    void packet(const std::string& data);
    std::string answer(std::string_view data);
    std::string query(std::string_view data);
    std::string set(std::string_view data);
    std::string supported(std::string_view peer);
    std::string transfer(std::string_view rest);
    std::string command(std::string_view hex);
    std::string choose_thread(std::string_view rest);
    std::string read_register(std::string_view rest);
    std::string write_register(std::string_view rest);
    std::string read_general();
    std::string write_general(std::string_view rest);
    std::string read_memory(std::string_view rest);
    std::string write_memory(std::string_view rest, bool binary);
    std::string set_break(std::string_view rest, bool on);
    std::string resume(std::string_view rest);
    std::string resume_one(char how, std::string_view rest);
    std::string stop_text(const Stop& s) const;
    std::string thread_list() const;
    void stopped(const Stop& s);
    void send(std::string_view data);
    bool there(u64 thread) const;
    std::string detach(std::string_view rest);
    void kill(std::string_view data);
    std::string set_transfer(std::string_view name, std::string_view rest);
    std::string pass_signals(std::string_view rest);
    std::string catch_calls(std::string_view rest);
    // Threads as the peer names them: with their process where it knows of processes.
    std::string name_of(u64 thread) const;
    // Takes a thread off the front: 0 any, all the process's or everybody's; false: it is no name.
    bool take_thread(std::string_view& text, u64& thread) const;

    Target& target_;
    std::function<void(std::string_view)> out_;
    PacketStream stream_;
    Files files_;
    std::string last_, description_;
    bool connected_ = false, acknowledges_ = true, waiting_ = false; // waiting: a resume has not been answered
    bool physical_ = false;
    bool processes_ = false;        // the peer knows of them
    Target::Events events_;         // likewise
    u64 general_ = 1, resumed_ = 0; // threads that Hg and Hc chose; 0: any
    Stop stop_;
};

} // namespace mimic::gdb
