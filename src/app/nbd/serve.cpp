// The server: opens the image, listens, and serves connections until the last one or a signal.
#include "app/nbd/settings.hpp"
#include "base/io/scope.hpp"
#include "block/graph.hpp"
#include "block/nbd/server.hpp"
#include <csignal>
#include <cstdlib>
#include <sys/socket.h>
#include <unistd.h>

namespace mimic::nbd {

namespace {

using block::Node;

// A signal handler may do little: it writes a byte that the loop waits for.
int signal_end = -1;
void on_signal(int) {
    char byte = 1;
    ssize_t n = write(signal_end, &byte, 1);
    static_cast<void>(n);
}

class Service {
public:
    Service(Tool& tool, const Settings& settings)
        : tool_(tool)
        , s_(settings)
        , server_(tool.loop)
        , scope_(tool.loop)
        , changed_(tool.loop) {}

    Task<int> run(const std::function<bool()>& ready) {
        bool ok = co_await open();
        if (ok) ok = co_await listen_and_serve(ready);
        co_await server_.remove(s_.export_name);
        if (!co_await tool_.close(image_)) ok = false;
        co_return ok ? 0 : 1;
    }

private:
    bool fail(const std::string& message) {
        tool_.error(message);
        return false;
    }

    Task<bool> open() {
        Tool::Open how{.writable = !s_.read_only, .format = tool_.format, .cache = tool_.cache};
        how.image_opts = tool_.image_opts;
        how.discard = s_.discard;
        if (!s_.detect_zeroes.empty()) how.extra.set("detect-zeroes", s_.detect_zeroes);
        if (!s_.aio.empty()) how.extra.set("file", Json::object()).set("aio", s_.aio);
        std::string file = s_.file, overlay;
        if (s_.snapshot) {
            Tool::Open plain{.format = tool_.format, .image_opts = tool_.image_opts};
            overlay = co_await tool_.make_overlay(s_.file, plain);
            if (overlay.empty()) co_return false;
            file = overlay;
            how.format = "qcow2";
            how.image_opts = false;
            how.cache = "unsafe";
        }
        if (s_.offset && !co_await offset_fits(file, how)) co_return false;
        if (s_.offset) how.extra = shifted(how, file);
        image_ = co_await tool_.open(file, how);
        // An open file needs no name: so nothing is left behind, however we end.
        if (!overlay.empty()) unlink(overlay.c_str());
        if (!image_) co_return false;
        if (!s_.load_snapshot.empty() && !co_await tool::load_snapshot(tool_, *image_, s_.load_snapshot))
            co_return false;
        co_return co_await add_export();
    }

    Task<bool> offset_fits(const std::string& file, const Tool::Open& how) {
        Tool::Open look{.no_backing = true, .no_io = true, .format = how.format, .image_opts = how.image_opts};
        Tool::Image image = co_await tool_.open(file, look);
        if (!image) co_return false;
        u64 size = image->size();
        if (!co_await tool_.close(image)) co_return false;
        if (s_.offset < size) co_return true;
        co_return fail(fmt::format("Invalid offset '{}' (-o): '{}' ends at {}", s_.offset, s_.file, size));
    }

    // The options of a raw disk that begins at the offset of the image.
    Json shifted(Tool::Open& how, std::string& file) {
        Json below = Json::object();
        if (how.image_opts) {
            if (auto parsed = block::parse_flat(file, "file")) below = std::move(*parsed);
        } else {
            below.set("file", Json::object()).set("filename", file);
            below.set("driver", how.format.empty() ? "raw" : how.format);
        }
        for (auto& [name, value] : *how.extra.members())
            if (name != "file") below.set(name, value);
        Json top = Json::object();
        top.set("driver", "raw");
        top.set("offset", s_.offset);
        top.set("file", std::move(below));
        file = "json:" + top.dump();
        how.image_opts = false;
        how.format.clear();
        return Json::object();
    }

    Task<bool> add_export() {
        block::nbd::Export e;
        e.name = s_.export_name;
        e.description = s_.description;
        auto disk = block::Root::attach(image_.node, "export", 0, block::perm::all);
        if (!disk) co_return fail(disk.error().message());
        e.disk = std::move(*disk);
        e.writable = !s_.read_only && !image_->read_only();
        e.multi_conn = s_.shared != 1;
        e.write_through = image_.write_through;
        e.allocation_depth = s_.allocation_depth;
        for (auto& name : s_.bitmaps) {
            for (auto& b : image_->bitmaps())
                if (b.name == name && b.in_use)
                    co_return fail(fmt::format("Bitmap '{}' is inconsistent and cannot be used", name));
            auto found = co_await image_->bitmap(name);
            if (!found) co_return fail(fmt::format("Bitmap '{}' is not found", name));
            e.bitmaps.push_back(std::move(*found));
        }
        auto added = server_.add(std::move(e));
        co_return added || fail(added.error().message());
    }

    Task<bool> listen_and_serve(const std::function<bool()>& ready) {
        server_.require(s_.security);
        if (s_.verbose) server_.log = [this](const std::string& text) { tool_.error("connection ended: " + text); };
        auto listener =
            io::Listener::create(tool_.loop, s_.address(), s_.shared == 0 ? 128 : int(std::min(s_.shared, 4096u)));
        if (!listener) co_return fail(listener.error().message());
        listener_ = std::move(*listener);
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) co_return fail("no socket pair for signals");
        auto wake = io::Socket::adopt(tool_.loop, ends[0]);
        if (!wake) co_return fail(wake.error().message());
        signal_end = ends[1];
        struct sigaction action = {};
        action.sa_handler = on_signal;
        for (int s : {SIGTERM, SIGINT, SIGHUP}) sigaction(s, &action, nullptr);
        io::Scope signals(tool_.loop);
        signals.spawn(watch(**wake));
        bool ok = ready();
        if (ok) ok = co_await accept_all();
        co_await scope_.drain();
        // From here on a signal ends the program in the usual way, unless it is writing back.
        for (int s : {SIGTERM, SIGINT, SIGHUP}) std::signal(s, SIG_IGN);
        (*wake)->shut();
        co_await signals.drain();
        close(ends[1]);
        listener_.reset();
        co_return ok;
    }

    Task<bool> accept_all() {
        while (!stop_) {
            while (s_.shared && active_ >= s_.shared && !stop_) co_await changed_.wait();
            if (stop_) break;
            auto socket = co_await listener_->accept();
            if (stop_) break;
            if (!socket && active_ == 0) co_return fail(socket.error().message());
            // Out of descriptors or memory: one client less makes room.
            if (!socket) {
                co_await changed_.wait();
                continue;
            }
            active_++;
            scope_.spawn(client(std::move(*socket)));
        }
        co_return true;
    }

    Task<Result<void>> client(std::unique_ptr<io::Socket> socket) {
        bool was_client = co_await server_.serve(block::nbd::make_transport(std::move(socket)));
        active_--;
        if (was_client && active_ == 0 && !s_.persistent) stop();
        changed_.wake_all();
        co_return Result<void>();
    }

    Task<Result<void>> watch(io::Socket& wake) {
        char byte = 0;
        CO_TRY(size_t n, co_await wake.receive(&byte, 1));
        if (n) {
            stop();
            server_.shut_all();
        }
        co_return Result<void>();
    }

    void stop() {
        stop_ = true;
        listener_->stop();
        changed_.wake_all();
    }

    Tool& tool_;
    const Settings& s_;
    block::nbd::Server server_;
    Tool::Image image_;
    std::unique_ptr<io::Listener> listener_;
    io::Scope scope_;
    io::WaitList changed_;
    unsigned active_ = 0;
    bool stop_ = false;
};

} // namespace

Task<int> serve(Tool& tool, const Settings& settings, const std::function<bool()>& ready) {
    Service service(tool, settings);
    co_return co_await service.run(ready);
}

} // namespace mimic::nbd
