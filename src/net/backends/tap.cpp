// tap: an interface of the host (Linux, Documentation/networking/tuntap.rst and <linux/if_tun.h>). Frames have the header of
// offloads where the kernel has it, so that checksums and segmentation are left to whoever is last to need them. Not there: several
// queues, vhost, the bridge helper.
#include "base/spawn.hpp"
#include "net/backends/packets.hpp"
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mimic::net {

namespace {

constexpr const char* device = "/dev/net/tun";
constexpr std::string_view up_script = "/etc/qemu-ifup", down_script = "/etc/qemu-ifdown";

// Waits for it; scripts set an interface up before the guest may use it.
Result<void> run_script(std::string_view option, const std::string& script, const std::string& interface) {
    const std::string words[] = {script, interface};
    auto child = spawn(words);
    if (!child)
        return std::move(child).error().in(fmt::format("option '{}' (expected a program, or {}=no)", option, option));
    int status = 0;
    while (waitpid(*child, &status, 0) < 0)
        if (errno != EINTR) return Error::from_errno(errno, "option '{}': {}", option, script);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    return Error::make(ErrorKind::io, "option '{}': {} {} ended with {} {}", option, script, interface,
                       WIFEXITED(status) ? "status" : "signal",
                       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

struct TapSettings {
    std::string interface, up, down;
    int fd = -1;
    bool header = true;
    u64 send_buffer = 0; // 0: the kernel's own
};

class TapNet final : public PacketNet {
public:
    TapNet(io::Loop& loop, std::string id, TapSettings s) : PacketNet(loop, std::move(id)), s_(std::move(s)) {}
    ~TapNet() override {
        end();
        if (up_ && !s_.down.empty()) run_script("downscript", s_.down, s_.interface).ignore();
    }
    Result<void> open();

    std::string_view kind() const override { return "tap"; }
    std::string info() const override {
        if (s_.fd >= 0) return fmt::format("fd={}", s_.fd);
        auto script = [](const std::string& s) { return s.empty() ? "no" : s.c_str(); };
        return fmt::format("ifname={},script={},downscript={}", s_.interface, script(s_.up), script(s_.down));
    }
    u32 offloads() const override { return offloads_; }
    void take_offloads(u32 set) override;

private:
    i64 read(std::span<u8> room) override;
    i64 write(std::span<const u8> frame) override;
    u32 header() const override { return offloads_ ? offload_header : 0; }
    Result<int> make_interface();
    Result<void> use_header(int fd);

    TapSettings s_;
    u32 offloads_ = 0;
    bool kernel_header_ = false, up_ = false;
};

Result<int> TapNet::make_interface() {
    int fd = ::open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return Error::from_errno(errno, "cannot open {}", device);
    unsigned features = 0;
    if (ioctl(fd, TUNGETFEATURES, &features) < 0) features = 0;
    ifreq request{};
    request.ifr_flags = short(IFF_TAP | IFF_NO_PI);
    if (s_.header && features & IFF_VNET_HDR) request.ifr_flags = short(request.ifr_flags | IFF_VNET_HDR);
    std::memcpy(request.ifr_name, s_.interface.c_str(), s_.interface.size() + 1);
    if (ioctl(fd, TUNSETIFF, &request) < 0) {
        int why = errno;
        close(fd);
        std::string_view name = s_.interface.empty() ? "a new interface" : s_.interface;
        if (why == EPERM)
            return Error::from_errno(why,
                                     "cannot have {} (expected CAP_NET_ADMIN, or an interface made for this user "
                                     "by 'ip tuntap add')",
                                     name);
        return Error::from_errno(why, "cannot have {}", name);
    }
    s_.interface = request.ifr_name;
    return fd;
}

Result<void> TapNet::use_header(int fd) {
    ifreq request{};
    if (ioctl(fd, TUNGETIFF, &request) < 0) return Error::from_errno(errno, "descriptor {} is no tap interface", fd);
    if (!(request.ifr_flags & IFF_TAP))
        return Error::invalid_argument("descriptor {} is an interface without Ethernet, expected a tap interface", fd);
    kernel_header_ = request.ifr_flags & IFF_VNET_HDR;
    if (!kernel_header_) return {};
    int size = offload_header, little = 1;
    if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0) return Error::from_errno(errno, "set the header of {}", s_.interface);
    // Elsewhere the kernel's header is little endian as it is.
    if (ioctl(fd, TUNSETVNETLE, &little) < 0 && std::endian::native != std::endian::little)
        return Error::from_errno(errno, "set the byte order of {}", s_.interface);
    if (!s_.header) return {};
    constexpr unsigned all = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    using namespace offload;
    if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)(all | TUN_F_UFO)) == 0)
        offloads_ = checksum | tso4 | tso6 | ecn | ufo;
    else if (ioctl(fd, TUNSETOFFLOAD, (unsigned long)all) == 0)
        offloads_ = checksum | tso4 | tso6 | ecn;
    ioctl(fd, TUNSETOFFLOAD, 0ul);
    return {};
}

Result<void> TapNet::open() {
    int fd = s_.fd;
    if (fd < 0) fd = TRY(make_interface());
    auto set_up = [&]() -> Result<void> {
        TRY(use_header(fd));
        int bytes = int(s_.send_buffer);
        if (bytes && ioctl(fd, TUNSETSNDBUF, &bytes) < 0)
            return Error::from_errno(errno, "option 'sndbuf': {}", s_.send_buffer);
        if (!s_.up.empty()) TRY(run_script("script", s_.up, s_.interface));
        return {};
    };
    if (auto r = set_up(); !r) {
        if (s_.fd < 0) close(fd);
        return r;
    }
    up_ = true;
    start(fd);
    return {};
}

void TapNet::take_offloads(u32 set) {
    if (fd() < 0 || !offloads_) return;
    unsigned flags = 0;
    auto take = [&](u32 what, unsigned flag) { flags |= set & what ? flag : 0; };
    take(offload::checksum, TUN_F_CSUM);
    if (set & offload::checksum) { // the others need it
        take(offload::tso4, TUN_F_TSO4);
        take(offload::tso6, TUN_F_TSO6);
        take(offload::ecn, TUN_F_TSO_ECN);
        take(offload::ufo, TUN_F_UFO);
    }
    ioctl(fd(), TUNSETOFFLOAD, (unsigned long)flags);
}

// A header of the kernel's that nobody here wants is of zeros in both directions.
i64 TapNet::read(std::span<u8> room) {
    ssize_t n = 0;
    if (kernel_header_ && !offloads_) {
        u8 skipped[offload_header];
        iovec parts[] = {{skipped, sizeof skipped}, {room.data(), room.size()}};
        n = readv(fd(), parts, 2);
        if (n >= 0) n = std::max<ssize_t>(0, n - ssize_t{offload_header});
    } else {
        n = ::read(fd(), room.data(), room.size());
    }
    return n < 0 ? -errno : n;
}

i64 TapNet::write(std::span<const u8> frame) {
    ssize_t n = 0;
    if (kernel_header_ && !offloads_) {
        u8 zeros[offload_header] = {};
        iovec parts[] = {{zeros, sizeof zeros}, {const_cast<u8*>(frame.data()), frame.size()}};
        n = writev(fd(), parts, 2);
    } else {
        n = ::write(fd(), frame.data(), frame.size());
    }
    return n < 0 ? -errno : n;
}

} // namespace

Result<std::unique_ptr<BackEnd>> open_tap(Context& context, const std::string& id, Options& o) {
    TapSettings s;
    const bool given = o.has("fd");
    for (std::string_view name : {"ifname", "script", "downscript"})
        if (given && o.has(name)) return Error::invalid_argument("option '{}': expected without 'fd'", name);
    s.fd = int(i64(TRY(o.number("fd", ~u64{0}, 0, 0x7fffffff))));
    s.interface = o.take("ifname");
    if (s.interface.size() >= IFNAMSIZ)
        return bad_option("ifname", s.interface, fmt::format("at most {} characters", IFNAMSIZ - 1));
    auto script = [&](std::string_view name, std::string_view otherwise) {
        std::string text = o.take(name, given ? "no" : otherwise);
        return text == "no" ? std::string() : text;
    };
    s.up = script("script", up_script);
    s.down = script("downscript", down_script);
    s.header = TRY(o.flag("vnet_hdr", true));
    s.send_buffer = TRY(o.number("sndbuf", 0, 1, INT_MAX));
    for (std::string_view name : {"vhost", "vhostforce"})
        if (TRY(o.flag(name, false)))
            return Error::unsupported("option '{}': on, expected off: the kernel can't reach this guest's memory",
                                      name);
    TRY(o.number("queues", 1, 1, 1));
    TRY(o.finish());
    auto tap = std::make_unique<TapNet>(context.loop, id, std::move(s));
    TRY(tap->open());
    return std::unique_ptr<BackEnd>(std::move(tap));
}

} // namespace mimic::net
