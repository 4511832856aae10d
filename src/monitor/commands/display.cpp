// Screens. QEMU QMP reference manual, "Display": screendump.
#include "monitor/display.hpp"
#include "base/io/pool.hpp"
#include "display/picture.hpp"
#include "monitor/commands.hpp"
#include "monitor/objects.hpp"
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace mimic::monitor {

Result<display::Console*> find_console(Monitor& m, const std::optional<std::string>& device, std::optional<u64> head) {
    display::Consoles& all = m.machine().consoles();
    if (!device) {
        if (head) return Error::invalid_argument("'head' must be specified together with 'device'");
        return all.all().empty() ? nullptr : all.all().front().get();
    }
    Object o = TRY(find_object(m, *device));
    const u64 wanted = head.value_or(0);
    display::Console* found = nullptr;
    if (o.device && wanted <= ~u32{0}) found = all.find(o.device->id(), u32(wanted));
    if (found) return found;
    return Error::invalid_argument("Device '{}' (head {}) is not bound to a console", *device, wanted);
}

namespace {

Result<void> write_file(const std::string& path, const display::Picture& picture, bool png) {
    // A pipe that nobody reads is an error, and does not hold us.
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);
    if (fd < 0) return Error::from_errno(errno, "failed to open file '{}'", path);
    auto sink = [&](std::span<const u8> bytes) -> Result<void> {
        while (!bytes.empty()) {
            const ssize_t n = write(fd, bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return Error::from_errno(errno, "writing '{}' failed", path);
            bytes = bytes.subspan(size_t(n));
        }
        return {};
    };
    Result<void> result = png ? display::write_png(picture, sink) : display::write_ppm(picture, sink);
    if (close(fd) != 0 && result) result = Error::from_errno(errno, "writing '{}' failed", path);
    return result;
}

} // namespace

// The picture is of one moment; threads turn it into a file.
io::Task<Result<void>> screendump(Monitor& m, ScreendumpRequest request) {
    CO_TRY(display::Console * console, find_console(m, request.device, request.head));
    if (!console) co_return Error::invalid_argument("There is no console to take a screendump from");
    const display::Picture picture = display::take_picture(*console);
    if (picture.rgb.empty()) co_return Error::invalid_argument("the console has no picture yet");
    auto work = [&] { return write_file(request.path, picture, request.png); };
    co_return co_await m.loop().compute().run(m.loop(), work);
}

namespace {

io::Task<Result<Json>> run_screendump(Monitor& m, const Arguments& a) {
    ScreendumpRequest request{a.text("filename"), {}, {}, a.text("format") == "png"};
    if (a.has("device")) request.device = a.text("device");
    if (a.has("head")) request.head = a.number("head");
    auto task = screendump(m, std::move(request));
    CO_CHECK(co_await std::move(task));
    co_return Json::object();
}

constexpr Command commands[] = {
    {"screendump", "filename str, ?device str, ?head int, ?format ImageFormat", "",
     "writes what a screen shows to a file; the first one's unless a device says which", nullptr, false,
     of<run_screendump>},
};

} // namespace

constinit const Family display_family{R"(
enum ImageFormat: ppm png
)",
                                      commands};

} // namespace mimic::monitor
