// Storage: the disks of a program that is asked about them by name: nodes that users add and remove, jobs, and exports.
#pragma once
#include "block/graph.hpp"
#include "block/jobs/disk_jobs.hpp"
#include "block/nbd/server.hpp"

namespace mimic::block {

struct ExportRequest {
    std::string id, node, name, description;
    bool has_name = false, writable = false, write_through = false, allocation_depth = false;
    std::vector<std::pair<std::string, std::string>> bitmaps; // node ("": anywhere in the chain) and name
};

class Storage {
public:
    explicit Storage(Context& context);
    ~Storage(); // shut_down() was awaited
    Storage(const Storage&) = delete;

    Context& context() const { return context_; }
    Jobs& jobs() { return jobs_; }
    // QMP events.
    std::function<void(std::string_view, Json)> on_event = [](std::string_view, Json) {};
    // The disk of a machine by its id; null: there is none.
    std::function<std::shared_ptr<Root>(std::string_view)> find_device = [](std::string_view) { return nullptr; };

    // A machine's disk or a node by name. Errors name both.
    Result<NodePtr> find(std::string_view device, std::string_view node = {}) const;
    Result<NodePtr> find_node(std::string_view node) const; // nodes only; another wording

    // blockdev-add, blockdev-del.
    Task<Result<void>> add(Json options);
    Task<Result<void>> remove(std::string name);
    // Makes a node that was opened otherwise one that remove() knows.
    Result<void> adopt(NodePtr node);
    bool added(std::string_view name) const { return added_.contains(std::string(name)); }

    // The NBD server and its exports.
    Task<Result<void>> start_server(io::SocketAddress address, unsigned max_connections, nbd::Security security);
    Task<Result<void>> stop_server();
    Task<Result<void>> add_export(ExportRequest request);
    // hard: clients that are connected are cut off; else their presence is an error.
    Task<Result<void>> remove_export(std::string id, bool hard);
    struct ExportInfo {
        std::string id, node;
        bool going = false, writable = false;
    };
    std::vector<ExportInfo> exports() const;

    // Jobs are cancelled, exports and nodes closed. Errors: of the first node that could not be written back.
    Task<Result<void>> shut_down();

private:
    struct Export {
        std::string id, name;
        std::shared_ptr<Root> disk;
        std::vector<std::shared_ptr<DirtyBitmap>> bitmaps;
        bool going = false;
    };
    Task<Result<void>> accept_all();
    Task<Result<void>> client(std::unique_ptr<io::Socket> socket);
    Result<std::shared_ptr<DirtyBitmap>> find_bitmap(Node& top, const std::string& node, const std::string& name);

    Context& context_;
    Jobs jobs_;
    std::map<std::string, std::shared_ptr<Root>> added_;
    std::vector<std::string> order_; // in which they were added
    std::list<Export> exports_;
    nbd::Server server_;
    std::unique_ptr<io::Listener> listener_;
    io::Scope clients_;
    io::WaitList changed_;
    unsigned max_connections_ = 0;
};

} // namespace mimic::block
