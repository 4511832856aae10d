// The daemon's server of QMP, and what it is about.
#pragma once
#include "qmp/disks.hpp"

namespace mimic::storage_daemon {

extern const qmp::Family daemon_family;

class Daemon final : public qmp::Server {
public:
    Daemon(block::Context& context, chardev::OpenContext& chardevs);
    ~Daemon() override { close_sessions(); }

    block::Storage& storage() override { return storage_; }
    std::span<const std::unique_ptr<chardev::Chardev>> chardevs() const override { return chardevs_; }
    void add_chardev(std::unique_ptr<chardev::Chardev> dev) override { chardevs_.push_back(std::move(dev)); }
    void remove_chardev(std::string_view id) override {
        std::erase_if(chardevs_, [&](auto& c) { return c->id() == id; });
    }
    // Ends run(): the user or a client said so.
    void stop() { stopped_ = true; }
    bool stopped() const { return stopped_; }
    // Ends connections, jobs and exports, and writes all back.
    Result<void> close();

private:
    block::Storage storage_;
    std::vector<std::unique_ptr<chardev::Chardev>> chardevs_;
    bool stopped_ = false;
};

} // namespace mimic::storage_daemon
