#include "block/storage.hpp"
#include "block/jobs/copy.hpp"
#include <algorithm>

namespace mimic::block {

Storage::Storage(Context& context)
    : context_(context)
    , jobs_(context)
    , server_(context.loop)
    , clients_(context.loop)
    , changed_(context.loop) {
    context_.on_threshold = [this](const Node& node, u64 exceeded, u64 threshold) {
        Json data = Json::object();
        data.set("node-name", node.options().node_name);
        data.set("amount-exceeded", exceeded);
        data.set("write-threshold", threshold);
        on_event("BLOCK_WRITE_THRESHOLD", std::move(data));
    };
    jobs_.on_event = [this](std::string_view name, Json data) { on_event(name, std::move(data)); };
}
Storage::~Storage() {
    context_.on_threshold = [](const Node&, u64, u64) {};
}

// ---- nodes ------------------------------------------------------------------------------------------------------------

Result<NodePtr> Storage::find_node(std::string_view node) const {
    auto at = context_.names.find(node);
    if (at != context_.names.end()) return at->second->shared_from_this();
    return Error::invalid_argument("Failed to find node with node-name='{}'", node);
}

Result<NodePtr> Storage::find(std::string_view device, std::string_view node) const {
    if (!device.empty())
        if (auto root = find_device(device)) return root->ptr();
    for (std::string_view name : {node, device})
        if (!name.empty())
            if (auto at = context_.names.find(name); at != context_.names.end()) return at->second->shared_from_this();
    return Error::invalid_argument("Cannot find device='{}' nor node-name='{}'", device, node.empty() ? device : node);
}

Result<void> Storage::adopt(NodePtr node) {
    std::string name = node->options().node_name;
    added_[name] = TRY(Root::attach(std::move(node), "monitor", 0, perm::all, true));
    order_.push_back(name);
    return {};
}

Task<Result<void>> Storage::add(Json options) {
    const Json* name = options.find("node-name");
    if (!name || !name->string() || name->string()->empty())
        co_return Error::invalid_argument("'node-name' must be specified for the root node");
    if (find_device && find_device(*name->string()))
        co_return Error::exists("node-name='{}' is the id of a drive, expected another", *name->string());
    OpenRequest request;
    request.writable = true; // unless the options say read-only
    CO_TRY(request.options, nest(std::move(options)));
    auto lock = co_await context_.graph.lock();
    CO_TRY(NodePtr node, co_await open_node(context_, std::move(request)));
    for (Node* n = node.get(); n; n = backing_of(n)) {
        Result<void> r = co_await skip_filters(n)->load_bitmaps();
        if (!r) context_.warn(fmt::format("'{}': dirty bitmaps: {}", n->filename(), r.error().message()));
    }
    co_return adopt(std::move(node));
}

Task<Result<void>> Storage::remove(std::string name) {
    auto lock = co_await context_.graph.lock();
    CO_TRY(NodePtr node, find_node(name));
    auto at = added_.find(name);
    if (at == added_.end()) co_return Error::busy("Node {} is not owned by the monitor", name);
    if (node->parents().size() > 1) co_return Error::busy("Node {} is in use", name);
    added_.erase(at);
    std::erase(order_, name);
    co_return co_await node->close();
}

// ---- exports ----------------------------------------------------------------------------------------------------------

Task<Result<void>> Storage::start_server(io::SocketAddress address, unsigned max_connections, nbd::Security security) {
    if (listener_) co_return Error::busy("NBD server already running");
    CO_TRY(listener_,
           io::Listener::create(context_.loop, address, max_connections ? int(std::min(max_connections, 128u)) : 128));
    max_connections_ = max_connections;
    server_.require(std::move(security));
    clients_.spawn(accept_all());
    co_return Result<void>();
}

Task<Result<void>> Storage::accept_all() {
    io::Listener& listener = *listener_;
    while (listener_.get() == &listener) {
        if (max_connections_ && server_.connections() >= max_connections_) {
            co_await changed_.wait();
            continue;
        }
        auto socket = co_await listener.accept();
        if (!socket && socket.error().kind() == ErrorKind::cancelled) break;
        if (!socket) { // out of descriptors or memory: one client less makes room
            co_await changed_.wait();
            continue;
        }
        clients_.spawn(client(std::move(*socket)));
    }
    co_return Result<void>();
}

Task<Result<void>> Storage::client(std::unique_ptr<io::Socket> socket) {
    co_await server_.serve(nbd::make_transport(std::move(socket)));
    changed_.wake_all();
    co_return Result<void>();
}

Task<Result<void>> Storage::stop_server() {
    if (!listener_) co_return Error::invalid_argument("NBD server not running");
    std::vector<std::string> ids;
    for (auto& e : exports_) ids.push_back(e.id);
    for (auto& id : ids) {
        Result<void> r = co_await remove_export(id, true);
        std::move(r).ignore(); // somebody else removes it just now
    }
    listener_->stop();
    auto keep = std::move(listener_);
    server_.shut_all();
    changed_.wake_all();
    co_await clients_.drain();
    co_return Result<void>();
}

Result<std::shared_ptr<DirtyBitmap>> Storage::find_bitmap(Node& top, const std::string& node, const std::string& name) {
    auto in = [&](Node& n) -> std::shared_ptr<DirtyBitmap> {
        for (auto& b : n.dirty_bitmaps())
            if (b->name() == name) return b;
        return nullptr;
    };
    if (!node.empty()) {
        if (auto b = in(*TRY(find_node(node)))) return b;
    } else {
        for (Node* n = skip_filters(&top); n; n = skip_filters(backing_of(n)))
            if (auto b = in(*n)) return b;
    }
    return Error::invalid_argument("Bitmap '{}' is not found", name);
}

Task<Result<void>> Storage::add_export(ExportRequest r) {
    if (std::ranges::find(exports_, r.id, &Export::id) != exports_.end())
        co_return Error::exists("Block export id '{}' is already in use", r.id);
    if (!listener_) co_return Error::invalid_argument("NBD server not running");
    std::string name = r.has_name ? r.name : r.node;
    if (server_.find(name)) co_return Error::exists("NBD server already has export named '{}'", name);
    auto lock = co_await context_.graph.lock();
    CO_TRY(NodePtr node, find(r.node));
    if (r.writable && node->read_only())
        co_return Error::permission("Block node is read-only; cannot export '{}' writable", r.node);
    nbd::Export e{.name = name, .description = r.description};
    for (auto& [on, bitmap] : r.bitmaps) {
        CO_TRY(auto found, find_bitmap(*node, on, bitmap));
        if (!found->user.empty())
            co_return Error::busy("Bitmap '{}' is currently in use by another operation and cannot be used", bitmap);
        if (r.writable && found->enabled)
            co_return Error::invalid_argument("Enabled bitmap '{}' incompatible with writable export, expected a "
                                              "disabled one or writable=off",
                                              bitmap);
        e.bitmaps.push_back(std::move(found));
    }
    u8 perms = perm::consistent_read;
    if (r.writable) perms |= perm::write;
    auto root = Root::attach(node, r.id, perms, perm::all);
    CO_CHECK(root ? Result<void>() : Result<void>(root.error()));
    e.disk = *root;
    e.writable = r.writable;
    e.multi_conn = true;
    e.write_through = r.write_through;
    e.allocation_depth = r.allocation_depth;
    for (auto& b : e.bitmaps) b->user = r.id;
    Export mine{.id = r.id, .name = name, .disk = *root, .bitmaps = e.bitmaps};
    CO_CHECK(server_.add(std::move(e)));
    exports_.push_back(std::move(mine));
    co_return Result<void>();
}

Task<Result<void>> Storage::remove_export(std::string id, bool hard) {
    auto at = std::ranges::find(exports_, id, &Export::id);
    if (at == exports_.end()) co_return Error::invalid_argument("Export '{}' is not found", id);
    if (at->going) co_return Error::busy("Export '{}' is already shutting down", id);
    if (!hard && server_.clients_of(at->name))
        co_return Error::busy("export '{}' still in use, expected mode 'hard' to cut its clients off", id);
    at->going = true;
    co_await server_.remove(at->name);
    for (auto& b : at->bitmaps) b->user.clear();
    NodePtr node = at->disk->ptr();
    exports_.erase(at);
    co_await let_go(std::move(node));
    Json data = Json::object();
    data.set("id", id);
    on_event("BLOCK_EXPORT_DELETED", std::move(data));
    co_return Result<void>();
}

std::vector<Storage::ExportInfo> Storage::exports() const {
    std::vector<ExportInfo> list;
    for (auto& e : exports_)
        list.push_back(
            {e.id, e.disk->node().options().node_name, e.going, (e.disk->edge().perms() & perm::write) != 0});
    return list;
}

Task<Result<void>> Storage::shut_down() {
    if (listener_) {
        Result<void> r = co_await stop_server();
        std::move(r).ignore(); // it was running
    }
    co_await jobs_.shut_down();
    Result<void> result;
    // Those above first: what is below writes back what they leave.
    while (!order_.empty()) {
        std::string name = order_.back();
        order_.pop_back();
        auto at = added_.find(name);
        if (at == added_.end()) continue;
        NodePtr node = at->second->ptr();
        added_.erase(at);
        if (!node->parents().empty()) continue; // closed with its last user
        Result<void> r = co_await node->close();
        if (result && !r) result = r;
    }
    co_return result;
}

} // namespace mimic::block
