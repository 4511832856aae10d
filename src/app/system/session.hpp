// Session: one machine from the command line to its end: back ends, board, devices, then the main loop.
#pragma once
#include "app/system/options.hpp"
#include "base/io/watch.hpp"
#include "block/storage.hpp"
#include "chardev/open.hpp"
#include "migration/snapshots.hpp"
#include "monitor/debugger.hpp"
#include "monitor/qtest.hpp"

namespace mimic::app {

class Session {
public:
    explicit Session(SystemOptions options) : options_(std::move(options)) {}
    ~Session();
    // Everything is there: the terminal may be left.
    std::function<void()> on_ready;
    // Makes everything. Errors are the user's to read.
    Result<void> create();
    // Writes -pidfile. Runs until the guest or the user ends it; the exit status.
    int run();

private:
    Result<void> open_log();
    Result<void> open_perf_map();
    void name_drives();
    Result<void> open_drives();
    Result<block::NodePtr> open_drive(const DriveOptions& d);
    Result<void> add_drive(const std::string& id, block::NodePtr node, bool read_only);
    Result<void> limit_drive(const DriveOptions& d);
    Result<void> drive_of_node(const DeviceOptions& d);
    Result<void> open_chardevs();
    Result<std::string> open_serial(u32 n, const std::string& text);
    Result<void> write_pid_file();
    Result<void> make_board();
    void add_default_card();
    Result<void> make_devices();
    Result<void> make_device(const DeviceOptions& d);
    void make_control();
    Result<void> open_monitors();
    Result<chardev::Chardev*> monitor_chardev(MonitorOptions& m, const std::string& id);
    Result<void> open_qtest();
    Result<std::string> open_debugger(const std::string& device);
    Result<void> set_log(std::string_view items);
    Result<void> start();
    void watch_signals();
    io::Task<Result<void>> signals();
    void leave(int status);
    void close_drives();

    SystemOptions options_;
    std::unique_ptr<io::Loop> loop_;
    std::unique_ptr<block::Context> blocks_;
    std::unique_ptr<block::Storage> storage_;
    std::vector<std::string> temporary_; // files of snapshot=on
    std::vector<std::pair<std::string, devices::Machine::Drive>> drives_;
    std::unique_ptr<chardev::OpenContext> chardev_context_;
    std::vector<std::unique_ptr<chardev::Chardev>> chardevs_;
    const machines::BoardType* type_ = nullptr;
    std::unique_ptr<machines::Board> board_;
    std::unique_ptr<machines::RunControl> run_;
    std::unique_ptr<migration::Migrator> migrator_;
    std::unique_ptr<migration::Snapshots> snapshots_;
    std::unique_ptr<monitor::Monitor> monitor_;
    std::unique_ptr<monitor::Debugger> debugger_;
    std::unique_ptr<monitor::Qtest> qtest_;
    std::FILE* qtest_log_ = nullptr;
    bool created_ = false; // devices from now on are plugged into a machine that lives
    int signal_fd_ = -1;
    int pid_fd_ = -1;
    std::unique_ptr<io::Watch> signal_watch_;
    bool watching_ = false, done_ = false, stopped_ = false;
    int status_ = 0;
    // Of the processors' translations, their owner.
    struct Logs {
        std::FILE* text = nullptr;
        std::FILE* perf_map = nullptr;
        std::FILE* events = nullptr;
    } logs_;
};

} // namespace mimic::app
